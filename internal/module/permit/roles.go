package permit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// bootstrapLabel is on the roles that the API server itself makes, and mends at each start.
	bootstrapLabel = "kubernetes.io/bootstrapping"
	bootstrapValue = "rbac-defaults"
	aggregateLabel = "rbac.authorization.k8s.io/aggregate-to-"
)

// roles claims what the roles of the package allow. A ClusterRole counts where it is bound, by the package or by somebody else; in the whole
// cluster where nobody binds it: a binding that waits for a role of that name may be seen by the API server only.
func (p *pack) roles() {
	for _, r := range p.clusterRoles {
		object := "ClusterRole/" + r.Name
		if strings.HasPrefix(r.Name, "system:") || p.isDefault(r.Name) {
			p.find(object, "is a role of Kubernetes itself, which the package would change for everybody: ask its author for a name of its own")
			continue
		}
		if _, forged := r.Labels[bootstrapLabel]; forged {
			p.find(object, "says by the label "+bootstrapLabel+" that it is a role of Kubernetes itself: leave the label out")
		}
		if r.AggregationRule != nil {
			p.claim(object, "", []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
				"because it collects the rules of other roles, of which nobody knows what they will be; "+
					"ask the package's author to write the rules out instead of aggregationRule")
			continue
		}
		everywhere, namespaces := p.where(r.Name)
		if into := p.joins(r); into != "" {
			p.aboutOwn(object, r.Rules, "adds its rules to "+into+", so that everybody who has that role gets them")
			everywhere = true
		}
		if everywhere || len(namespaces) == 0 {
			p.claim(object, "", r.Rules, "in the whole cluster")
			continue
		}
		for _, ns := range namespaces {
			p.claim(object, ns, withoutURLs(r.Rules), "in namespace "+ns)
		}
	}
	for id, r := range p.namedRoles {
		p.claim("Role/"+id.String(), r.Namespace, r.Rules, "in namespace "+r.Namespace)
	}
}

// where says in which namespaces a ClusterRole is bound, or whether it is everywhere.
func (p *pack) where(name string) (everywhere bool, namespaces []string) {
	for _, b := range slices.Concat(p.bound, p.standing) {
		if b.ref.Kind != "ClusterRole" || b.ref.Name != name {
			continue
		}
		if b.namespace == "" {
			everywhere = true
		} else {
			namespaces = append(namespaces, b.namespace)
		}
	}
	return everywhere, sorted(namespaces)
}

// joins names a role that collects the rules of this one.
func (p *pack) joins(r *rbacv1.ClusterRole) string {
	for _, label := range slices.Sorted(maps.Keys(r.Labels)) {
		if to, ok := strings.CutPrefix(label, aggregateLabel); ok {
			return "ClusterRole/" + to
		}
	}
	for _, other := range p.Live.ClusterRoles {
		if other.AggregationRule == nil {
			continue
		}
		for _, s := range other.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&s)
			if err == nil && selector.Matches(labels.Set(r.Labels)) {
				return "ClusterRole/" + other.Name
			}
		}
	}
	return ""
}

// aboutOwn holds rules that others get to being about kinds that the package defines itself. To define one kind in the group of somebody
// else makes no other kind of it the package's.
func (p *pack) aboutOwn(object string, rules []rbacv1.PolicyRule, what string) {
	foreign := slices.DeleteFunc(slices.Clone(rules), func(r rbacv1.PolicyRule) bool {
		return len(r.NonResourceURLs) == 0 && all(r.APIGroups, func(g string) bool {
			return all(r.Resources, func(name string) bool {
				resource, _, _ := strings.Cut(name, "/")
				return p.ownResources[schema.GroupResource{Group: g, Resource: resource}]
			})
		})
	})
	if len(foreign) > 0 {
		p.find(object, fmt.Sprintf("%s; they may only be about kinds that the package defines: leave these out: %s", what, list(Compact(foreign))))
	}
}

// isDefault is whether Kubernetes itself makes a ClusterRole.
func (p *pack) isDefault(name string) bool {
	r := p.liveClusterRole(name)
	return r != nil && r.Labels[bootstrapLabel] == bootstrapValue
}

func (p *pack) liveClusterRole(name string) *rbacv1.ClusterRole {
	for i := range p.Live.ClusterRoles {
		if p.Live.ClusterRoles[i].Name == name {
			return &p.Live.ClusterRoles[i]
		}
	}
	return nil
}

func (p *pack) liveRole(id account) *rbacv1.Role {
	for i := range p.Live.Roles {
		if r := &p.Live.Roles[i]; r.Namespace == id.namespace && r.Name == id.name {
			return r
		}
	}
	return nil
}

// rulesOf finds what a binding of the cluster gives. A role that isn't there gives nothing now.
func (p *pack) rulesOf(b binding) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	switch b.ref.Kind {
	case "ClusterRole":
		if r := p.clusterRoles[b.ref.Name]; r != nil {
			rules = r.Rules
		} else if r := p.liveClusterRole(b.ref.Name); r != nil {
			rules = r.Rules
		}
	case "Role":
		id := account{b.namespace, b.ref.Name}
		if r := p.namedRoles[id]; r != nil {
			rules = r.Rules
		} else if r := p.liveRole(id); r != nil {
			rules = r.Rules
		}
	}
	if b.namespace != "" {
		rules = withoutURLs(rules)
	}
	return rules
}

// withoutURLs leaves out what a binding in a namespace can't give.
func withoutURLs(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rbacv1.PolicyRule) bool { return len(r.Resources) == 0 })
}

// claims holds all claims against the grant.
func (p *pack) claims() {
	for _, c := range p.claimed {
		missing, err := p.missing(p.granted(c.namespace), c.rules)
		switch {
		case err != nil:
			p.find(c.object, "can't be judged: "+err.Error())
		case len(missing) > 0:
			where := "clusterRules"
			if c.namespace != "" {
				where = "rules, with namespace " + c.namespace + " in namespaces,"
			}
			p.find(c.object, fmt.Sprintf("allows more than is granted, %s. Missing in %s of %s: %s; its owner may add them, or choose another package",
				c.why, where, p.grant(), list(missing)))
		}
	}
}

// maxTotal bounds the single rights that are looked at for one package.
const maxTotal = 100_000

// missing is Missing, for as long as the package hasn't used up what may be spent on it.
func (p *pack) missing(granted, wanted []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	for _, r := range wanted {
		p.atoms += min(size(r), maxAtoms)
	}
	if p.atoms > maxTotal {
		return nil, ErrTooWide
	}
	return Missing(granted, wanted)
}

// declared holds what the roles need against what the package says that it needs.
func (p *pack) declared() {
	d := p.Declared
	if len(d.ClusterRules)+len(d.NamespaceRules) == 0 {
		return
	}
	said := map[string][]rbacv1.PolicyRule{"": d.ClusterRules}
	for _, n := range d.NamespaceRules {
		said[n.Namespace] = append(said[n.Namespace], n.Rules...)
	}
	for _, c := range p.claimed {
		missing, err := p.missing(plain(slices.Concat(said[""], said[c.namespace])), c.rules)
		if err == nil && len(missing) > 0 {
			p.find(c.object, fmt.Sprintf("allows more than the package says that it needs (permissions in package.yaml), %s: %s; ask the package's author", c.why, list(missing)))
		}
	}
	p.claim("", "", d.ClusterRules, "by what the package asks for in permissions.clusterRules")
	for _, n := range d.NamespaceRules {
		p.claim("", n.Namespace, n.Rules, "by what the package asks for in namespace "+n.Namespace)
	}
}

// theirs is whose an object of the cluster is; empty: it isn't there, or is the module's.
func (p *pack) theirs(group, kind, namespace, name string) string {
	return p.Theirs[kube.Ref{Group: group, Kind: kind, Namespace: namespace, Name: name}]
}
