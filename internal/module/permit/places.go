package permit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// places judges where the objects are, and of which kinds they are.
func (p *pack) places() {
	for _, o := range p.Objects {
		gk := o.GroupVersionKind().GroupKind()
		kind, served := p.kind(gk)
		switch {
		case p.ours(o):
		case !served:
			p.find(subject(o), Unserved)
		case kind.Namespaced:
			p.inside(o, kind)
		default:
			p.outside(o)
		}
	}
}

// Unserved is the message about an object of a kind that the cluster doesn't serve and the package doesn't define.
const Unserved = "is of a kind that the cluster doesn't serve, so that nobody knows what it is: install what defines it first"

// checks judges the questions of the gate. Who may write a Module sees the answers: they must not be about what they couldn't read.
func (p *pack) checks() {
	for _, c := range p.Checks {
		if c.Object == nil {
			continue
		}
		what := fmt.Sprintf("check %s of the gate asks %s %s", c.Name, c.Object.Kind, c.Object.Name)
		gv, err := schema.ParseGroupVersion(c.Object.APIVersion)
		if err != nil {
			p.find("", what+", whose apiVersion is none: correct it")
			continue
		}
		gk := gv.WithKind(c.Object.Kind).GroupKind()
		if gk == (schema.GroupKind{Kind: "Secret"}) {
			p.find("", what+": its answer would tell what is in it; ask another object")
			continue
		}
		kind, served := p.kind(gk)
		ns := cmp.Or(c.Object.Namespace, p.Namespace)
		switch {
		case served && kind.Namespaced && !p.in(ns):
			p.find("", fmt.Sprintf("%s in namespace %s, where the package may have nothing: add it to namespaces of %s, or leave the check out", what, ns, p.grant()))
		case (!served || !kind.Namespaced) && !p.mayAsk(gk, c.Object.Name):
			p.find("", fmt.Sprintf("%s, which has no namespace and isn't the package's. Missing in clusterObjects of %s: - {group: %q, kind: %s, names: [%q]}; its owner may add it, or leave the check out",
				what, p.grant(), gk.Group, gk.Kind, c.Object.Name))
		}
	}
}

// kind is how the cluster serves a kind, or will as soon as the package is there.
func (p *pack) kind(gk schema.GroupKind) (Served, bool) {
	if own, defined := p.own[gk]; defined {
		return Served{Namespaced: own}, true
	}
	return p.Served(gk)
}

// mayAsk is whether a check may ask an object without a namespace, or one of a kind that isn't served yet, which may turn out to have none:
// one of the package's own, or one that the grant lists. Kinds of Slipway are nobody's own: other people's Modules are among their objects.
func (p *pack) mayAsk(gk schema.GroupKind, name string) bool {
	_, own := p.own[gk]
	switch {
	case own && gk.Group != v1alpha1.GroupVersion.Group, p.mayHave(gk, name):
		return true
	case gk == schema.GroupKind{Kind: "Namespace"}:
		return p.in(name)
	}
	return p.theirs(gk.Group, gk.Kind, "", name) == "" && slices.ContainsFunc(p.Objects, func(o *unstructured.Unstructured) bool {
		return o.GroupVersionKind().GroupKind() == gk && o.GetName() == name
	})
}

// ours judges objects that are about Slipway itself.
func (p *pack) ours(o *unstructured.Unstructured) bool {
	const what = "is part of Slipway itself, which no package may bring or change: leave it out"
	gk, group := o.GroupVersionKind().GroupKind(), v1alpha1.GroupVersion.Group
	switch {
	case gk.Group == group:
		if gk.Kind == v1alpha1.InterpreterKind && p.mayHave(gk, o.GetName()) {
			return true
		}
		message := "is of a kind of Slipway, which only people write: leave it out"
		if gk.Kind == v1alpha1.InterpreterKind {
			message = "would judge objects of other packages: put it into the package's folder interpreters, or have " + p.grant() + " list Interpreter in clusterObjects"
		}
		p.find(subject(o), message)
		return true
	case gk.Group == crdGroup && gk.Kind == crdName:
		of, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		if of == group || strings.HasSuffix(o.GetName(), "."+group) {
			p.find(subject(o), what)
			return true
		}
	case gk.Group == "admissionregistration.k8s.io" && strings.HasPrefix(o.GetName(), PolicyPrefix):
		p.find(subject(o), what)
		return true
	}
	return false
}

// PolicyPrefix is what the names of the admission policies begin with by which Slipway guards its own kinds.
const PolicyPrefix = "slipway-"

// inside judges an object with a namespace.
func (p *pack) inside(o *unstructured.Unstructured, kind Served) {
	ns := o.GetNamespace()
	gk := o.GroupVersionKind().GroupKind()
	switch {
	case p.in(ns):
	case ns == p.Agent.Namespace:
		p.find(subject(o), fmt.Sprintf("is in the agent's own namespace, %s: use another one, or have %s name it in namespaces; * doesn't stand for it", ns, p.grant()))
		return
	case ns == p.Namespace:
		p.find(subject(o), fmt.Sprintf("is in namespace %s, which was there before the Module: add it to namespaces of %s, or use a namespace that isn't there yet", ns, p.grant()))
		return
	default:
		p.find(subject(o), fmt.Sprintf("is in namespace %s, where the package may have nothing: add it to namespaces of %s, or leave the object out", ns, p.grant()))
		return
	}
	if _, defined := p.own[gk]; defined || builtin(gk) {
		return
	}
	// Somebody else's controller acts on it, maybe with more rights than whoever writes it: then who may write it is the question.
	rule := rbacv1.PolicyRule{APIGroups: []string{gk.Group}, Resources: []string{kind.Resource}, Verbs: []string{"create"}}
	if !slices.ContainsFunc(p.granted(ns), func(g rbacv1.PolicyRule) bool { return coversRule(g, rule) }) {
		p.find(subject(o), fmt.Sprintf("is of a kind that another controller acts on. Missing in rules of %s: - %s; its owner may add it, or leave the object out",
			p.grant(), Words(rule)))
	}
}

// outside judges an object without a namespace.
func (p *pack) outside(o *unstructured.Unstructured) {
	gk := o.GroupVersionKind().GroupKind()
	switch {
	case gk == schema.GroupKind{Kind: "Namespace"}:
		p.namespace(o)
	case gk.Group == rbacv1.GroupName:
		if p.Grant == nil {
			p.find(subject(o), "is a role, or gives one, in the whole cluster: name a ModuleGrant in spec.grantRef of the Module")
		} else if by := p.theirs(gk.Group, gk.Kind, "", o.GetName()); by != "" && !p.mayHave(gk, o.GetName()) {
			p.find(subject(o), fmt.Sprintf("is there already and belongs to %s: clusterRules of %s bound new roles only; list it in clusterObjects to let the package change it", by, p.grant()))
		}
	case !p.mayHave(gk, o.GetName()):
		p.find(subject(o), fmt.Sprintf("has no namespace. Missing in clusterObjects of %s: - {group: %q, kind: %s, names: [%q]}; its owner may add it, or leave the object out",
			p.grant(), gk.Group, gk.Kind, o.GetName()))
	}
}

// mayHave is whether clusterObjects of the grant list an object.
func (p *pack) mayHave(gk schema.GroupKind, name string) bool {
	if p.Grant == nil {
		return false
	}
	return slices.ContainsFunc(p.Grant.Spec.ClusterObjects, func(g v1alpha1.GrantedKind) bool {
		return g.Group == gk.Group && g.Kind == gk.Kind && (len(g.Names) == 0 || slices.ContainsFunc(g.Names, func(pattern string) bool {
			if end, open := strings.CutPrefix(pattern, "*"); open && strings.HasPrefix(end, ".") {
				return strings.HasSuffix(name, end)
			}
			return pattern == name
		}))
	})
}

// builtin is whether a kind with a namespace is Kubernetes' own, and harmless in a namespace that one may use. Endpoints lead traffic to
// anywhere, so nobody gets them by default; they count as somebody else's.
func builtin(gk schema.GroupKind) bool {
	if gk.Kind == "Endpoints" || gk.Kind == "EndpointSlice" {
		return false
	}
	switch gk.Group {
	case "", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "coordination.k8s.io", "events.k8s.io", "storage.k8s.io",
		"resource.k8s.io", rbacv1.GroupName:
		return true
	}
	return false
}
