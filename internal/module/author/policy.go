package author

import (
	"bytes"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// Name is how the policy and its binding are called.
const Name = "slipway-module-authors"

// Policy is what has to be in the cluster: the policy and its binding.
func Policy() (*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding, error) {
	content, err := config.FS.ReadFile("admission/modules.yaml")
	if err != nil {
		return nil, nil, fmt.Errorf("read the policy about who writes Modules: %w", err)
	}
	first, second, _ := bytes.Cut(content, []byte("\n---\n"))
	policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	if err := yaml.UnmarshalStrict(first, policy); err != nil {
		return nil, nil, fmt.Errorf("read the policy about who writes Modules: %w", err)
	}
	if err := yaml.UnmarshalStrict(second, binding); err != nil {
		return nil, nil, fmt.Errorf("read the binding of the policy about who writes Modules: %w", err)
	}
	return policy, binding, nil
}
