package permit

import (
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	crdGroup  = "apiextensions.k8s.io"
	crdName   = "CustomResourceDefinition"
	tokenType = "kubernetes.io/service-account-token"
	tokenNote = "kubernetes.io/service-account.name"
)

// pack is a package while it is looked at.
type pack struct {
	Question

	clusterRoles map[string]*rbacv1.ClusterRole
	namedRoles   map[account]*rbacv1.Role // by namespace and name
	bound        []binding
	brought      map[account]bool // service accounts of the package
	used         map[account]string
	own          map[schema.GroupKind]bool // kinds that the package defines; the value says whether they have a namespace
	ownResources map[schema.GroupResource]bool

	claimed  []claim
	standing []binding // of the cluster
	// atoms counts the single rights that were looked at.
	atoms    int
	findings []Finding
}

// account is a service account, or another thing that a namespace and a name tell apart.
type account struct{ namespace, name string }

func (a account) String() string { return a.namespace + "/" + a.name }

// binding is a RoleBinding (with a namespace) or a ClusterRoleBinding.
type binding struct {
	object    string
	namespace string
	ref       rbacv1.RoleRef
	subjects  []rbacv1.Subject
}

// claim is rights that somebody would have: in a namespace, or in the whole cluster ("").
type claim struct {
	object    string
	namespace string
	rules     []rbacv1.PolicyRule
	// why is how it comes to these rights, as the end of "it allows more than is granted, ".
	why string
}

func (p *pack) find(object, message string) {
	p.findings = append(p.findings, Finding{Object: object, Message: message})
}

// index sorts the objects by what they mean for rights.
func (p *pack) index() {
	p.clusterRoles, p.namedRoles = map[string]*rbacv1.ClusterRole{}, map[account]*rbacv1.Role{}
	p.brought, p.used = map[account]bool{}, map[account]string{}
	p.own, p.ownResources = map[schema.GroupKind]bool{}, map[schema.GroupResource]bool{}
	p.standing = p.bindingsOf()
	for _, o := range p.Objects {
		switch gk := o.GroupVersionKind().GroupKind(); {
		case gk.Group == rbacv1.GroupName:
			p.indexRole(o)
		case gk.Group == crdGroup && gk.Kind == crdName:
			p.indexKind(o)
		case gk.Group == "" && gk.Kind == "ServiceAccount":
			p.brought[account{o.GetNamespace(), o.GetName()}] = true
		case gk.Group == "" && gk.Kind == "Secret":
			kind, _, _ := unstructured.NestedString(o.Object, "type")
			if name := o.GetAnnotations()[tokenNote]; kind == tokenType || name != "" {
				p.used[account{o.GetNamespace(), name}] = subject(o)
			}
		}
	}
}

// indexKind remembers a kind that the package defines. One whose definition is somebody else's isn't the package's.
func (p *pack) indexKind(o *unstructured.Unstructured) {
	if _, theirs := p.Theirs[kube.RefOf(o).Unversioned()]; theirs {
		return
	}
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
	if !strings.HasSuffix(o.GetName(), "."+group) || group == "" {
		return // the API server refuses it
	}
	p.own[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	p.ownResources[schema.ParseGroupResource(o.GetName())] = true
}

func (p *pack) indexRole(o *unstructured.Unstructured) {
	read := func(into any) bool {
		err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true)
		if err != nil {
			p.find(subject(o), "can't be read, so that nobody knows what it allows: correct it: "+err.Error())
		}
		return err == nil
	}
	switch o.GetKind() {
	case "ClusterRole":
		if r := (&rbacv1.ClusterRole{}); read(r) {
			p.clusterRoles[r.Name] = r
		}
	case "Role":
		if r := (&rbacv1.Role{}); read(r) {
			p.namedRoles[account{r.Namespace, r.Name}] = r
		}
	case "ClusterRoleBinding":
		if b := (&rbacv1.ClusterRoleBinding{}); read(b) {
			p.bound = append(p.bound, binding{subject(o), "", b.RoleRef, b.Subjects})
		}
	case "RoleBinding":
		if b := (&rbacv1.RoleBinding{}); read(b) {
			p.bound = append(p.bound, binding{subject(o), b.Namespace, b.RoleRef, b.Subjects})
		}
	default:
		p.find(subject(o), "is of a kind whose rights nobody knows: leave it out")
	}
}

// bindingsOf lists the bindings of the cluster.
func (p *pack) bindingsOf() []binding {
	var out []binding
	for _, b := range p.Live.ClusterRoleBindings {
		out = append(out, binding{"ClusterRoleBinding/" + b.Name, "", b.RoleRef, b.Subjects})
	}
	for _, b := range p.Live.RoleBindings {
		out = append(out, binding{"RoleBinding/" + b.Namespace + "/" + b.Name, b.Namespace, b.RoleRef, b.Subjects})
	}
	return out
}

func (p *pack) claim(object, namespace string, rules []rbacv1.PolicyRule, why string) {
	if len(rules) > 0 {
		p.claimed = append(p.claimed, claim{object, namespace, rules, why})
	}
}

// permissions is the sum of all claims.
func (p *pack) permissions() v1alpha1.Permissions {
	var out v1alpha1.Permissions
	in := map[string][]rbacv1.PolicyRule{}
	for _, c := range p.claimed {
		in[c.namespace] = append(in[c.namespace], c.rules...)
	}
	out.ClusterRules = Compact(in[""])
	delete(in, "")
	for _, namespace := range slices.Sorted(maps.Keys(in)) {
		out.NamespaceRules = append(out.NamespaceRules, v1alpha1.NamespaceRules{Namespace: namespace, Rules: Compact(in[namespace])})
	}
	return out
}

func subject(o *unstructured.Unstructured) string { return kube.RefOf(o).Subject() }
