package permit

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Template is where the pods of an object of a kind are described, as a path to what has metadata and spec; false: the kind has none.
func Template(gk schema.GroupKind) ([]string, bool) {
	switch gk {
	case schema.GroupKind{Kind: "Pod"}:
		return nil, true
	case schema.GroupKind{Kind: "PodTemplate"}:
		return []string{"template"}, true
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, schema.GroupKind{Group: "apps", Kind: "ReplicaSet"},
		schema.GroupKind{Kind: "ReplicationController"}, schema.GroupKind{Group: "batch", Kind: "Job"}:
		return []string{"spec", "template"}, true
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}:
		return []string{"spec", "jobTemplate", "spec", "template"}, true
	}
	return nil, false
}

// PodOf reads how the pods of an object are; nil: it has none.
func PodOf(o *unstructured.Unstructured) (*corev1.PodTemplateSpec, error) {
	path, has := Template(o.GroupVersionKind().GroupKind())
	if !has {
		return nil, nil //nolint:nilnil // most kinds have no pods
	}
	content := o.Object
	if len(path) > 0 {
		var err error
		if content, _, err = unstructured.NestedMap(o.Object, path...); err != nil {
			return nil, fmt.Errorf("read %s: %w", strings.Join(path, "."), err)
		}
	}
	template := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, template); err != nil {
		return nil, fmt.Errorf("read its pods: %w", err)
	}
	return template, nil
}

// pods judges what the pods need of the node, and notes which accounts they run as.
func (p *pack) pods() {
	level := p.level()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil { // the checks are a constant of the library
		p.find("", "its pods can't be judged: "+err.Error())
		return
	}
	for _, o := range p.Objects {
		pod, err := PodOf(o)
		if err != nil {
			p.find(subject(o), "can't be read, so that nobody knows what its pods need: correct it: "+err.Error())
			continue
		}
		if pod == nil {
			continue
		}
		name := pod.Spec.ServiceAccountName
		if name == "" {
			name = pod.Spec.DeprecatedServiceAccount
		}
		if name == "" {
			name = "default"
		}
		p.used[account{o.GetNamespace(), name}] = subject(o)
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
		if !result.Allowed {
			p.find(subject(o), fmt.Sprintf("has pods that need more of the node than the level %s allows: %s. Set podSecurity of %s, or ask the package's author",
				level, result.ForbiddenDetail(), p.grant()))
		}
	}
}

// level is the least strict one that pods may need.
func (p *pack) level() api.Level {
	if p.Grant == nil || p.Grant.Spec.PodSecurity == "" {
		return api.LevelBaseline
	}
	level, err := api.ParseLevel(string(p.Grant.Spec.PodSecurity))
	if err != nil {
		return api.LevelRestricted
	}
	return level
}

// Level is the level of the Pod Security Standards that a grant allows; none allows the default.
func Level(g *v1alpha1.ModuleGrant) string {
	p := &pack{Question: Question{Grant: g}}
	return string(p.level())
}

// namespace judges a Namespace: the module's own may be there; any other has to be granted. Its labels must not let pods do more than
// the grant says.
func (p *pack) namespace(o *unstructured.Unstructured) {
	gk := o.GroupVersionKind().GroupKind()
	if name := o.GetName(); !(name == p.Namespace && p.in(name)) && !p.mayHave(gk, name) {
		p.find(subject(o), fmt.Sprintf("isn't the module's own namespace, or was there before. Missing in clusterObjects of %s: - {group: %q, kind: Namespace, names: [%q]}",
			p.grant(), "", name))
	}
	labels := o.GetLabels()
	if labels[api.EnforceLevelLabel] == "" && labels[api.EnforceVersionLabel] == "" {
		return
	}
	asked, errs := api.PolicyToEvaluate(labels, api.Policy{})
	if version := labels[api.EnforceVersionLabel]; version != "" && version != api.VersionLatest {
		p.find(subject(o), fmt.Sprintf("holds pods to the rules of an older Kubernetes, which had fewer (label %s): leave the label out", api.EnforceVersionLabel))
	}
	if level := p.level(); len(errs) > 0 || labels[api.EnforceLevelLabel] != "" && slices.Contains(laxer(level), asked.Enforce.Level) {
		p.find(subject(o), fmt.Sprintf("lets pods be %s (label %s), and %s allows %s: leave the label out", labels[api.EnforceLevelLabel], api.EnforceLevelLabel, p.grant(), level))
	}
}

// laxer are the levels that allow more than one.
func laxer(level api.Level) []api.Level {
	switch level {
	case api.LevelPrivileged:
		return nil
	case api.LevelBaseline:
		return []api.Level{api.LevelPrivileged}
	default:
		return []api.Level{api.LevelPrivileged, api.LevelBaseline}
	}
}
