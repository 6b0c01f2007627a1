package permit

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// hook is who is asked about writes: it sees what is written, and may change it if it mutates.
type hook struct {
	name      string
	rules     []admissionv1.Rule
	namespace string // the only one; empty: all
	mutates   bool
}

// webhooks judges what the package's webhooks see and change. Whoever is asked about each write of a kind reads it in the whole cluster, and
// whoever may change it there writes it: that takes the rights to. The package's own kinds are free.
func (p *pack) webhooks() {
	for _, o := range p.Objects {
		hooks, err := hooksOf(o)
		if err != nil {
			p.find(subject(o), "can't be read, so that nobody knows what it intercepts: correct it: "+err.Error())
			continue
		}
		for _, h := range hooks {
			p.hook(subject(o), h)
		}
	}
}

func (p *pack) hook(object string, h hook) {
	verbs, does := []string{"get"}, "sees"
	if h.mutates {
		verbs, does = []string{"get", "update"}, "sees and may change"
	}
	var wanted []rbacv1.PolicyRule
	for _, r := range h.rules {
		for _, group := range r.APIGroups {
			var resources []string
			for _, name := range r.Resources {
				name, sub, _ := strings.Cut(name, "/")
				if !p.ownResources[schema.GroupResource{Group: group, Resource: name}] {
					resources = append(resources, joined(name, sub))
				}
			}
			if len(resources) > 0 {
				wanted = append(wanted, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs})
			}
		}
	}
	missing, err := p.missing(p.granted(h.namespace), wanted)
	if err != nil {
		p.find(object, "can't be judged: "+err.Error())
		return
	}
	if len(missing) > 0 {
		where := "clusterRules"
		if h.namespace != "" {
			where = "rules, with namespace " + h.namespace + " in namespaces,"
		}
		p.find(object, fmt.Sprintf("%s every write of kinds that the package doesn't define (webhook or policy %s), which takes the rights to. Missing in %s of %s: %s; "+
			"its owner may add them, or choose another package", does, h.name, where, p.grant(), list(missing)))
	}
}

// joined is a resource as rules of roles have it. In those of webhooks */* is everything, and pods/* is all subresources.
func joined(name, sub string) string {
	switch {
	case sub == "" || name == "*" && sub == "*":
		return name
	case sub == "*":
		return name + "/*" // nothing in roles; only * grants it
	}
	return name + "/" + sub
}

// hooksOf reads what an object intercepts; nothing: it doesn't.
func hooksOf(o *unstructured.Unstructured) ([]hook, error) {
	if o.GroupVersionKind().Group != admissionv1.GroupName {
		return nil, nil
	}
	var out []hook
	switch o.GetKind() {
	case "ValidatingWebhookConfiguration":
		c := &admissionv1.ValidatingWebhookConfiguration{}
		if err := read(o, c); err != nil {
			return nil, err
		}
		for _, w := range c.Webhooks {
			out = append(out, hook{w.Name, rulesIn(w.Rules), only(w.NamespaceSelector, w.Rules), false})
		}
	case "MutatingWebhookConfiguration":
		c := &admissionv1.MutatingWebhookConfiguration{}
		if err := read(o, c); err != nil {
			return nil, err
		}
		for _, w := range c.Webhooks {
			out = append(out, hook{w.Name, rulesIn(w.Rules), only(w.NamespaceSelector, w.Rules), true})
		}
	case "MutatingAdmissionPolicy":
		rules, _, err := unstructured.NestedSlice(o.Object, "spec", "matchConstraints", "resourceRules")
		if err != nil {
			return nil, err
		}
		h := hook{name: o.GetName(), mutates: true}
		for _, r := range rules {
			rule := admissionv1.Rule{}
			content, _ := r.(map[string]any)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &rule); err != nil {
				return nil, err
			}
			h.rules = append(h.rules, rule)
		}
		out = append(out, h)
	}
	return out, nil
}

func read(o *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into)
}

func rulesIn(all []admissionv1.RuleWithOperations) []admissionv1.Rule {
	var out []admissionv1.Rule
	for _, r := range all {
		out = append(out, r.Rule)
	}
	return out
}

// only is the one namespace that a selector selects, by the label that the API server sets itself. Rules that are also about kinds without a
// namespace are about the whole cluster.
func only(s *metav1.LabelSelector, rules []admissionv1.RuleWithOperations) string {
	if s == nil || s.MatchLabels[corev1.LabelMetadataName] == "" ||
		slices.ContainsFunc(rules, func(r admissionv1.RuleWithOperations) bool {
			return r.Scope == nil || *r.Scope != admissionv1.NamespacedScope
		}) {
		return ""
	}
	return s.MatchLabels[corev1.LabelMetadataName]
}
