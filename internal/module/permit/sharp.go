package permit

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// sharp is a right by which its holder can get any other one: to write roles with more than one has, to bind to them, to act as somebody
// else. Who writes * into a grant seldom means it; so each of them has to be named there, or everything has to be granted.
type sharp struct {
	verb, group, resource string
	// name that is worth all others; empty: any.
	name string
}

func sharps() []sharp {
	const rbac, identities = rbacv1.GroupName, "authentication.k8s.io"
	return []sharp{
		{verb: "escalate", group: rbac, resource: "clusterroles"},
		{verb: "escalate", group: rbac, resource: "roles"},
		{verb: "bind", group: rbac, resource: "clusterroles"},
		{verb: "bind", group: rbac, resource: "roles"},
		{verb: "impersonate", resource: "users"},
		{verb: "impersonate", resource: "groups"},
		{verb: "impersonate", resource: "groups", name: "system:masters"}, // may do anything, whatever the roles say
		{verb: "impersonate", resource: "serviceaccounts"},
		{verb: "impersonate", group: identities, resource: "uids"},
		{verb: "impersonate", group: identities, resource: "userextras"},
	}
}

// unnamed returns the sharp rights that a wanted rule gives and that no granted rule names.
func unnamed(granted []rbacv1.PolicyRule, w rbacv1.PolicyRule) []rbacv1.PolicyRule {
	if slices.ContainsFunc(granted, everything) {
		return nil
	}
	var missing []rbacv1.PolicyRule
	for _, s := range sharps() {
		if !s.in(w) {
			continue
		}
		names := w.ResourceNames
		if s.name != "" {
			names = []string{s.name}
		}
		for _, one := range apart(names) {
			if !slices.ContainsFunc(granted, func(g rbacv1.PolicyRule) bool { return s.namedBy(g, one) }) {
				missing = append(missing, rbacv1.PolicyRule{Verbs: []string{s.verb}, APIGroups: []string{s.group}, Resources: []string{s.resource}, ResourceNames: one})
			}
		}
	}
	return missing
}

// apart is each name alone, or none where there is none.
func apart(names []string) [][]string {
	if len(names) == 0 {
		return [][]string{nil}
	}
	var out [][]string
	for _, n := range names {
		out = append(out, []string{n})
	}
	return out
}

// in is whether a rule gives the right.
func (s sharp) in(r rbacv1.PolicyRule) bool {
	verbs := slices.ContainsFunc(r.Verbs, func(v string) bool { return v == "*" || s.is(v) })
	named := s.name == "" || len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, s.name)
	return verbs && within(r.APIGroups)(s.group) && s.of(r) && named
}

// is knows the verbs of later API servers that allow a part of impersonation: impersonate:user-info, impersonate-on:serviceaccount:get.
func (s sharp) is(verb string) bool {
	return verb == s.verb || s.verb == "impersonate" && (strings.HasPrefix(verb, "impersonate:") || strings.HasPrefix(verb, "impersonate-on:"))
}

// of knows that userextras are asked for by their keys, as subresources.
func (s sharp) of(r rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(r.Resources, func(name string) bool {
		return name == "*" || name == s.resource || s.resource == "userextras" && (strings.HasPrefix(name, "userextras/") || strings.HasPrefix(name, "*/"))
	})
}

// namedBy is whether a granted rule names the verb, for one name or for all of them.
func (s sharp) namedBy(g rbacv1.PolicyRule, name []string) bool {
	if !slices.ContainsFunc(g.Verbs, s.is) || !within(g.APIGroups)(s.group) || !s.of(g) {
		return false
	}
	if s.name != "" {
		return slices.Contains(g.ResourceNames, s.name)
	}
	return len(g.ResourceNames) == 0 || len(name) > 0 && slices.Contains(g.ResourceNames, name[0])
}

// everything is the rule of a cluster administrator.
func everything(r rbacv1.PolicyRule) bool {
	star := func(list []string) bool { return slices.Contains(list, "*") }
	return star(r.Verbs) && star(r.APIGroups) && star(r.Resources) && len(r.ResourceNames) == 0
}
