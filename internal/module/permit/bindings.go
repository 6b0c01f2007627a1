package permit

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

const accountPrefix = "system:serviceaccount:"

// bindings looks at whom the package gives rights to, and which roles that aren't its own it binds to.
func (p *pack) bindings() {
	for _, b := range p.bound {
		p.subjects(b)
		p.foreignRole(b)
	}
}

// foreignRole judges a binding to a role that isn't in the package. Roles of Kubernetes itself count as what they allow; any other may be
// widened by whoever owns it, or be made later by somebody who doesn't know who waits for it.
func (p *pack) foreignRole(b binding) {
	id := account{b.namespace, b.ref.Name}
	if b.ref.Kind == "ClusterRole" && p.clusterRoles[b.ref.Name] != nil || b.ref.Kind == "Role" && p.namedRoles[id] != nil {
		return // claimed with the role
	}
	var is bool
	var there bool
	switch b.ref.Kind {
	case "ClusterRole":
		is, there = p.isDefault(b.ref.Name), p.liveClusterRole(b.ref.Name) != nil
	case "Role":
		r := p.liveRole(id)
		is, there = r != nil && r.Labels[bootstrapLabel] == bootstrapValue, r != nil
	}
	switch {
	case is:
		where := "in the whole cluster"
		if b.namespace != "" {
			where = "in namespace " + b.namespace
		}
		p.claim(b.object, b.namespace, p.rulesOf(b), fmt.Sprintf("by %s %s, %s", b.ref.Kind, b.ref.Name, where))
	case there:
		p.find(b.object, fmt.Sprintf("binds to %s %s, which isn't in the package: whoever owns it could give more rights than are granted; "+
			"ask the package's author to write the rules into a role of the package", b.ref.Kind, b.ref.Name))
	default:
		p.find(b.object, fmt.Sprintf("binds to %s %s, which doesn't exist: whoever makes it later would give its rights away without knowing; "+
			"ask the package's author to put it into the package", b.ref.Kind, b.ref.Name))
	}
}

// subjects judges to whom a binding gives rights.
func (p *pack) subjects(b binding) {
	for _, s := range b.subjects {
		switch name := s.Name; {
		case p.isAgent(s, b):
			p.find(b.object, "gives rights to the agent's own service account, "+who(s)+": leave that subject out")
		case s.Kind == rbacv1.GroupKind && name == "system:masters":
			p.find(b.object, "gives rights to the group system:masters, which has all of them, and which no package should speak of: leave that subject out")
		case name == "system:anonymous" || name == "system:unauthenticated":
			p.find(b.object, "gives rights to everybody who reaches the API server, without a login ("+name+"): leave that subject out")
		case s.Kind == rbacv1.GroupKind && (name == "system:authenticated" || name == "system:serviceaccounts" || name == "system:nodes"):
			p.aboutOwn(b.object, p.rulesOf(b), "gives rights to all of "+name)
		}
	}
}

// isAgent is whether a subject is the agent's account, by any of the names that it has.
func (p *pack) isAgent(s rbacv1.Subject, b binding) bool {
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		return slices.ContainsFunc(p.Agent.Accounts, func(name string) bool {
			return s.Name == name && (s.Namespace == p.Agent.Namespace || s.Namespace == "" && b.namespace == p.Agent.Namespace)
		})
	case rbacv1.UserKind:
		return slices.ContainsFunc(p.Agent.Accounts, func(name string) bool { return s.Name == accountPrefix+p.Agent.Namespace+":"+name })
	case rbacv1.GroupKind:
		return s.Name == "system:serviceaccounts:"+p.Agent.Namespace
	}
	return false
}

func who(s rbacv1.Subject) string {
	if s.Namespace != "" {
		return s.Kind + " " + s.Namespace + "/" + s.Name
	}
	return s.Kind + " " + s.Name
}

// accounts claims the rights that the package's service accounts have without it: a binding may wait for an account of that name, or be
// for all accounts of a namespace, and pods may run as an account that is there already.
func (p *pack) accounts() {
	all := map[account]string{}
	for id := range p.brought {
		all[id] = "ServiceAccount/" + id.String()
	}
	for id, object := range p.used {
		if id.namespace == p.Agent.Namespace && slices.Contains(p.Agent.Accounts, id.name) {
			p.find(object, "runs as the agent's own service account, or asks for its token: name another one")
			continue
		}
		if _, ok := all[id]; !ok {
			all[id] = object
		}
	}
	for _, b := range p.standing {
		rules := p.rulesOf(b)
		if len(rules) == 0 {
			continue
		}
		for id, object := range all {
			if slices.ContainsFunc(b.subjects, func(s rbacv1.Subject) bool { return id.is(s, b.namespace) }) {
				p.claim(object, b.namespace, rules, fmt.Sprintf("because %s gives service account %s rights already (%s %s), which the package's pods would have",
					b.object, id, b.ref.Kind, b.ref.Name))
			}
		}
	}
}

// is is whether a subject means the account, alone or with the others of its namespace. What every account has isn't the account's.
func (a account) is(s rbacv1.Subject, namespace string) bool {
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		return s.Name == a.name && (s.Namespace == a.namespace || s.Namespace == "" && namespace == a.namespace)
	case rbacv1.UserKind:
		return s.Name == accountPrefix+a.namespace+":"+a.name
	case rbacv1.GroupKind:
		return strings.TrimPrefix(s.Name, "system:serviceaccounts:") == a.namespace && s.Name != a.namespace
	}
	return false
}
