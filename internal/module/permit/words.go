package permit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Compact puts rules together that differ in their verbs only, and then those that differ in their resources only. It says the same in
// fewer lines, and always in the same order.
func Compact(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	rules = merge(rules, func(r *rbacv1.PolicyRule) *[]string { return &r.Verbs })
	rules = merge(rules, func(r *rbacv1.PolicyRule) *[]string { return &r.Resources })
	rules = merge(rules, func(r *rbacv1.PolicyRule) *[]string { return &r.ResourceNames })
	return merge(rules, func(r *rbacv1.PolicyRule) *[]string { return &r.NonResourceURLs })
}

// merge joins rules that are the same but for one list.
func merge(rules []rbacv1.PolicyRule, list func(*rbacv1.PolicyRule) *[]string) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	at := map[string]int{}
	for _, r := range rules {
		r = *r.DeepCopy()
		rest := *r.DeepCopy()
		none := len(*list(&r)) == 0
		*list(&rest) = nil
		key := fmt.Sprintf("%t %q %q %q %q %q", none, rest.APIGroups, rest.Resources, rest.ResourceNames, rest.NonResourceURLs, rest.Verbs)
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			*list(&r) = sorted(*list(&r))
			out = append(out, r)
			continue
		}
		into := list(&out[i])
		*into = sorted(append(*into, *list(&r)...))
	}
	slices.SortStableFunc(out, func(a, b rbacv1.PolicyRule) int { return cmp.Compare(Words(a), Words(b)) })
	return out
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Words is a rule as it is written into a role or a grant: {apiGroups: [apps], resources: [deployments], verbs: [get, list]}.
func Words(r rbacv1.PolicyRule) string {
	var parts []string
	add := func(name string, list []string) {
		if len(list) == 0 {
			return
		}
		quoted := make([]string, len(list))
		for i, s := range list {
			quoted[i] = s
			if s == "" || strings.ContainsAny(s, `*:{}[],&#?|-<>=!%@\"' `) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' }) {
				quoted[i] = fmt.Sprintf("%q", s)
			}
		}
		parts = append(parts, name+": ["+strings.Join(quoted, ", ")+"]")
	}
	add("apiGroups", r.APIGroups)
	add("resources", r.Resources)
	add("resourceNames", r.ResourceNames)
	add("nonResourceURLs", r.NonResourceURLs)
	add("verbs", r.Verbs)
	return "{" + strings.Join(parts, ", ") + "}"
}

// maxRules is how many rules a message holds: with more of them the grant needs another look anyway.
const maxRules = 12

// list is rules in one line.
func list(rules []rbacv1.PolicyRule) string {
	var parts []string
	for i, r := range rules {
		if i == maxRules {
			parts = append(parts, fmt.Sprintf("and %d more", len(rules)-maxRules))
			break
		}
		parts = append(parts, "- "+Words(r))
	}
	return strings.Join(parts, " ")
}

// Added says which permissions are new, each in one line: the rule, and the namespace in which it holds.
func Added(before, now v1alpha1.Permissions) []string {
	var out []string
	missing, err := Missing(plain(before.ClusterRules), now.ClusterRules)
	if err != nil {
		missing = now.ClusterRules
	}
	for _, r := range missing {
		out = append(out, Words(r)+" in the whole cluster")
	}
	had := map[string][]rbacv1.PolicyRule{}
	for _, n := range before.NamespaceRules {
		had[n.Namespace] = n.Rules
	}
	for _, n := range now.NamespaceRules {
		missing, err := Missing(plain(slices.Concat(before.ClusterRules, had[n.Namespace])), n.Rules)
		if err != nil {
			missing = n.Rules
		}
		for _, r := range missing {
			out = append(out, Words(r)+" in namespace "+n.Namespace)
		}
	}
	return out
}

// plain names in rules what * stands for to the API server, but not in a grant.
func plain(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	out := slices.Clone(rules)
	for _, r := range rules {
		for _, s := range sharps() {
			if !s.in(r) {
				continue
			}
			named := rbacv1.PolicyRule{Verbs: []string{s.verb}, APIGroups: []string{s.group}, Resources: []string{s.resource}, ResourceNames: r.ResourceNames}
			if s.name != "" {
				named.ResourceNames = []string{s.name}
			}
			out = append(out, named)
		}
	}
	return out
}
