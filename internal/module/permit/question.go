package permit

import (
	"cmp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// Question is what a module would bring, where, and what bounds it.
type Question struct {
	// Module is its name, Namespace its own namespace.
	Module, Namespace string
	// Own says that the namespace isn't there yet, or was made for this module: nobody else's accounts and Secrets are in it.
	Own bool
	// Grant bounds it. Nil: the Module names none.
	Grant *v1alpha1.ModuleGrant
	// Objects are those of the package, with their namespaces.
	Objects []*unstructured.Unstructured
	// Checks are those of the gate, the package's and the Module's.
	Checks []v1alpha1.Check
	// Declared is what the package says that it needs. Where it says something, that must be enough for its roles.
	Declared v1alpha1.Permissions
	// Served says how the cluster serves a kind; false: it doesn't.
	Served func(schema.GroupKind) (Served, bool)
	// Theirs are the objects among Objects that are in the cluster and somebody else's, without the version of the API, and whose.
	Theirs map[kube.Ref]string
	// Live is what the cluster has.
	Live Live
	// Agent is who applies all of it.
	Agent Agent
}

// Served is how a kind is served.
type Served struct {
	// Resource is its name in rules: deployments.
	Resource   string
	Namespaced bool
}

// Live are the roles of the cluster, without those that the module itself has brought.
type Live struct {
	ClusterRoles        []rbacv1.ClusterRole
	Roles               []rbacv1.Role
	ClusterRoleBindings []rbacv1.ClusterRoleBinding
	RoleBindings        []rbacv1.RoleBinding
}

// Agent is the agent's own place in the cluster, which no package may touch.
type Agent struct {
	Namespace string
	// Accounts are its service accounts.
	Accounts []string
}

// Finding is something that isn't permitted.
type Finding struct {
	// Object as KIND/NAMESPACE/NAME. Empty: the whole package.
	Object string
	// Message says what is wrong and what to do.
	Message string
}

// Answer is what there is to say.
type Answer struct {
	Findings []Finding
	// Permissions that the package asks for: what its roles allow where they are bound, what its service accounts have already, and what it
	// declares.
	Permissions v1alpha1.Permissions
}

// Check holds what a module would bring against its grant.
func Check(q Question) Answer {
	p := &pack{Question: q}
	p.index()
	p.places()
	p.pods()
	p.checks()
	p.webhooks()
	p.roles()
	p.bindings()
	p.accounts()
	p.declared()
	p.claims()
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	return Answer{Findings: slices.Compact(p.findings), Permissions: p.permissions()}
}

// in is whether the package may have objects in a namespace.
func (p *pack) in(namespace string) bool {
	if namespace == p.Agent.Namespace {
		return p.Grant != nil && slices.Contains(p.Grant.Spec.Namespaces, namespace) // * doesn't stand for it
	}
	if namespace == p.Namespace && p.Own {
		return true
	}
	return p.Grant != nil && within(p.Grant.Spec.Namespaces)(namespace)
}

// granted are the rules that hold in a namespace, or in the whole cluster ("").
func (p *pack) granted(namespace string) []rbacv1.PolicyRule {
	switch {
	case p.Grant == nil:
		return nil
	case namespace != "" && p.in(namespace):
		return slices.Concat(p.Grant.Spec.ClusterRules, p.Grant.Spec.Rules)
	}
	return p.Grant.Spec.ClusterRules
}

// grant names the grant in messages.
func (p *pack) grant() string {
	if p.Grant == nil {
		return "a ModuleGrant that spec.grantRef of the Module has to name"
	}
	return "ModuleGrant " + p.Grant.Name
}
