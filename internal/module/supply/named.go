package supply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// ModulesAnnotation of a Secret in the agent's namespace names the modules that may use it, separated by commas; * is all of them.
const ModulesAnnotation = "slipway.dev/modules"

// mayUse is an error unless a Secret says that a module may use it. Whoever may write a Module could otherwise have any Secret of the
// agent's namespace sent to a server of theirs, or written into an object that they can read.
func mayUse(secret *corev1.Secret, module string) error {
	for name := range strings.SplitSeq(secret.Annotations[ModulesAnnotation], ",") {
		if name = strings.TrimSpace(name); name == "*" || name == module {
			return nil
		}
	}
	return fmt.Errorf("Secret %s/%s isn't for module %s: whoever owns it may say so in its annotation %s (kubectl -n %s annotate secret %s %s=%s)", //nolint:staticcheck // a kind's name
		secret.Namespace, secret.Name, module, ModulesAnnotation, secret.Namespace, secret.Name, ModulesAnnotation, module)
}

// Secret reads a Secret that a module names.
func (s *Shelf) Secret(ctx context.Context, m *v1alpha1.Module, name string) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	if err := s.read(ctx, "Secret", name, secret); err != nil {
		return nil, err
	}
	if err := mayUse(secret, m.Name); err != nil {
		return nil, err
	}
	if s.Asked == nil {
		return secret.Data, nil
	}
	wrong, err := s.Asked(ctx, m)
	if err != nil {
		return nil, &plan.Unavailable{Err: err}
	}
	if wrong != "" {
		return nil, fmt.Errorf("Secret %s/%s isn't used: %s", s.Namespace, name, wrong) //nolint:staticcheck // a kind's name
	}
	return secret.Data, nil
}

// read reads an object of the agent's namespace. That it isn't there, or mayn't be read, lasts; everything else may be otherwise later.
func (s *Shelf) read(ctx context.Context, kind, name string, into client.Object) error {
	err := s.Reader.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, into)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return &missing{fmt.Sprintf("%s %s/%s doesn't exist: create it, or correct its name in the Module", kind, s.Namespace, name)}
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s %s/%s can't be read: allow get on it", kind, s.Namespace, name)
	}
	return &plan.Unavailable{Err: fmt.Errorf("read %s %s/%s: %w", kind, s.Namespace, name, err)}
}

// missing says that an object isn't there.
type missing struct{ message string }

func (m *missing) Error() string { return m.message }

// credentials are those of the source.
func (s *Shelf) credentials(ctx context.Context, m *v1alpha1.Module) (pack.Credentials, error) {
	from := m.Spec.Source
	var ref *v1alpha1.SecretReference
	switch {
	case from.OCI != nil:
		ref = from.OCI.SecretRef
	case from.Git != nil:
		ref = from.Git.SecretRef
	case from.Chart != nil:
		ref = from.Chart.SecretRef
	case from.Manifests != nil:
		ref = from.Manifests.SecretRef
	}
	return s.credentialsOf(ctx, m, ref)
}

func (s *Shelf) credentialsOf(ctx context.Context, m *v1alpha1.Module, ref *v1alpha1.SecretReference) (pack.Credentials, error) {
	if ref == nil {
		return pack.Credentials{}, nil
	}
	data, err := s.Secret(ctx, m, ref.Name)
	return pack.Credentials{Secret: data}, err
}

// verification is what the Module asks for, else the agent's own policy.
func (s *Shelf) verification(ctx context.Context, m *v1alpha1.Module) (*pack.Verification, error) {
	v := m.Spec.Verify
	if v == nil {
		return s.Verify, nil
	}
	if v.KeysRef == nil {
		return &pack.Verification{Identities: v.Identities, TrustedRoot: s.TrustedRoot}, nil
	}
	keys, err := s.Secret(ctx, m, v.KeysRef.Name)
	if err != nil {
		return nil, err
	}
	return &pack.Verification{Keys: keys}, nil
}

// values are the Module's settings: valuesFrom, each over the one before, and values over all. No error quotes one.
func (s *Shelf) values(ctx context.Context, m *v1alpha1.Module) (pack.Values, error) {
	out := pack.Values{}
	for _, from := range m.Spec.ValuesFrom {
		text, err := s.valuesText(ctx, m, from)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		values, err := parseValues(text)
		if err != nil {
			return nil, fmt.Errorf("key %s of %s %s/%s has no values: it must be a table in YAML", keyOf(from), from.Kind, s.Namespace, from.Name)
		}
		out = pack.Merge(out, values)
	}
	if m.Spec.Values == nil {
		return out, nil
	}
	values, err := parseValues(m.Spec.Values.Raw)
	if err != nil {
		return nil, fmt.Errorf("spec.values of the Module is no table")
	}
	return overlaid(out, values), nil
}

// overlaid is pack.Merge with nulls kept: below these are the package's own values, of which a null takes one away.
func overlaid(below, above pack.Values) pack.Values {
	out := pack.Merge(below, above)
	for key, value := range above {
		inner, isTable := value.(map[string]any)
		under, wasTable := below[key].(map[string]any)
		switch {
		case value == nil:
			out[key] = nil
		case isTable && wasTable:
			out[key] = overlaid(under, inner)
		case isTable:
			out[key] = inner
		}
	}
	return out
}

func keyOf(from v1alpha1.ValuesReference) string {
	if from.Key == "" {
		return "values.yaml"
	}
	return from.Key
}

// valuesText is nil where values may be missing and are.
func (s *Shelf) valuesText(ctx context.Context, m *v1alpha1.Module, from v1alpha1.ValuesReference) ([]byte, error) {
	var (
		text []byte
		ok   bool
		err  error
	)
	if from.Kind == "Secret" {
		var data map[string][]byte
		data, err = s.Secret(ctx, m, from.Name)
		text, ok = data[keyOf(from)]
	} else {
		config := &corev1.ConfigMap{}
		err = s.read(ctx, "ConfigMap", from.Name, config)
		var value string
		value, ok = config.Data[keyOf(from)]
		text = []byte(value)
	}
	if _, gone := err.(*missing); gone && from.Optional { //nolint:errorlint // it is never wrapped
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, err
	case !ok && from.Optional:
		return nil, nil
	case !ok:
		return nil, fmt.Errorf("%s %s/%s has no key %s: add it, or correct spec.valuesFrom of the Module", from.Kind, s.Namespace, from.Name, keyOf(from))
	}
	return text, nil
}

// parseValues reads a table. Whole numbers stay whole.
func parseValues(text []byte) (pack.Values, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	if slices.Equal(asJSON, []byte("null")) {
		return pack.Values{}, nil
	}
	values := pack.Values{}
	return values, utiljson.Unmarshal(asJSON, &values)
}

// digestOf tells values apart without telling them.
func digestOf(values pack.Values) v1alpha1.Digest {
	text, err := json.Marshal(values)
	if err != nil {
		return ""
	}
	return revision.DigestOf(text)
}
