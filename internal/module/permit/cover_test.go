package permit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/permit"
)

// request is what the API server asks its authorizer.
type request struct{ verb, group, resource, subresource, name, url string }

// allows is the API server's own rule (plugin/pkg/auth/authorizer/rbac), written down again for one request.
func allows(rules []rbacv1.PolicyRule, r request) bool {
	has := func(list []string, s string) bool { return slices.Contains(list, s) }
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		if !has(rule.Verbs, "*") && !has(rule.Verbs, r.verb) {
			return false
		}
		if r.url != "" {
			return slices.ContainsFunc(rule.NonResourceURLs, func(u string) bool {
				prefix, open := strings.CutSuffix(u, "*")
				return u == r.url || open && strings.HasPrefix(r.url, prefix)
			})
		}
		whole := r.resource
		if r.subresource != "" {
			whole += "/" + r.subresource
		}
		resource := has(rule.Resources, "*") || has(rule.Resources, whole) || r.subresource != "" && has(rule.Resources, "*/"+r.subresource)
		group := has(rule.APIGroups, "*") || has(rule.APIGroups, r.group)
		return resource && group && (len(rule.ResourceNames) == 0 || has(rule.ResourceNames, r.name))
	})
}

func pick(r *rand.Rand, from ...string) []string {
	var out []string
	for _, s := range from {
		if r.IntN(3) == 0 {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		out = append(out, from[r.IntN(len(from))])
	}
	return out
}

func someRules(r *rand.Rand) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for range 1 + r.IntN(3) {
		if r.IntN(5) == 0 {
			out = append(out, rbacv1.PolicyRule{Verbs: pick(r, "get", "list", "*"), NonResourceURLs: pick(r, "/a", "/a/b", "/a*", "/a/*", "*")})
			continue
		}
		rule := rbacv1.PolicyRule{
			Verbs: pick(r, "get", "list", "*"), APIGroups: pick(r, "", "apps", "*"), Resources: pick(r, "pods", "pods/log", "*/log", "roles", "*"),
		}
		if r.IntN(3) == 0 {
			rule.ResourceNames = pick(r, "", "one", "two")
		}
		out = append(out, rule)
	}
	return out
}

// TestMissingIsWhatTheAPIServerWouldAllow asks for everything in a small world: what is missing is what one set of rules allows and the
// other one doesn't. A name, a verb, a group that no rule has stands for those that will be invented.
func TestMissingIsWhatTheAPIServerWouldAllow(t *testing.T) {
	var world []request
	for _, verb := range []string{"get", "list", "frobnicate"} {
		for _, url := range []string{"/a", "/a/b", "/a/c", "/z"} {
			world = append(world, request{verb: verb, url: url})
		}
		for _, group := range []string{"", "apps", "new.example"} {
			for _, resource := range []string{"pods", "roles", "boats"} {
				for _, sub := range []string{"", "log", "scale"} {
					for _, name := range []string{"", "one", "two", "three"} {
						world = append(world, request{verb: verb, group: group, resource: resource, subresource: sub, name: name})
					}
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	for n := range 3000 {
		granted, wanted := someRules(r), someRules(r)
		missing, err := permit.Missing(granted, wanted)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range world {
			needs := allows(wanted, q) && !allows(granted, q)
			if needs && !allows(missing, q) {
				t.Fatalf("run %d: %+v is allowed by\n%v\nand not by\n%v\nbut isn't missing in\n%v", n, q, words(wanted), words(granted), words(missing))
			}
			if allows(missing, q) && !allows(wanted, q) {
				t.Fatalf("run %d: %+v isn't wanted by\n%v\nbut missing in\n%v", n, q, words(wanted), words(missing))
			}
		}
		if again, err := permit.Missing(slices.Concat(granted, missing), wanted); err != nil || len(again) > 0 {
			t.Fatalf("run %d: with all that is missing granted, %v is missing still (%v)", n, words(again), err)
		}
	}
}

func words(rules []rbacv1.PolicyRule) string {
	var out []string
	for _, r := range rules {
		out = append(out, permit.Words(r))
	}
	return strings.Join(out, "\n")
}

func TestRulesThatStandForTooMuchAreRefused(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("r", i))
	}
	wanted := []rbacv1.PolicyRule{{Verbs: many, APIGroups: many, Resources: many}}
	if _, err := permit.Missing([]rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}, wanted); !errors.Is(err, permit.ErrTooWide) {
		t.Errorf("a rule of a thousand million rights gives %v, want ErrTooWide", err)
	}
	all := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	if missing, err := permit.Missing(all, wanted); err != nil || len(missing) > 0 {
		t.Errorf("where everything is granted it misses %v, %v", missing, err)
	}
}

func TestAdded(t *testing.T) {
	rule := func(resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: verbs}
	}
	before := v1alpha1.Permissions{
		ClusterRules:   []rbacv1.PolicyRule{rule("pods", "get", "*")},
		NamespaceRules: []v1alpha1.NamespaceRules{{Namespace: "runners", Rules: []rbacv1.PolicyRule{rule("secrets", "get")}}},
	}
	now := v1alpha1.Permissions{
		ClusterRules: []rbacv1.PolicyRule{rule("pods", "get", "list"), rule("nodes", "get")},
		NamespaceRules: []v1alpha1.NamespaceRules{
			{Namespace: "kube-system", Rules: []rbacv1.PolicyRule{rule("secrets", "get"), rule("pods", "get")}},
			{Namespace: "runners", Rules: []rbacv1.PolicyRule{rule("secrets", "get", "delete")}},
		},
	}
	want := []string{
		`{apiGroups: [""], resources: [nodes], verbs: [get]} in the whole cluster`,
		`{apiGroups: [""], resources: [secrets], verbs: [get]} in namespace kube-system`,
		`{apiGroups: [""], resources: [secrets], verbs: [delete]} in namespace runners`,
	}
	if diff := cmp.Diff(want, permit.Added(before, now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if added := permit.Added(now, now); len(added) > 0 {
		t.Errorf("the same permissions add %v", added)
	}
	star := v1alpha1.Permissions{ClusterRules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}, {APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"*"}}}}
	if added := permit.Added(star, star); len(added) > 0 {
		t.Errorf("nothing is added to everything, but %v", added)
	}
}
