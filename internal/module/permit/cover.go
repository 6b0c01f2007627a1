package permit

import (
	"errors"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// maxAtoms bounds into how many single rights one rule is taken apart: verbs times groups times resources times names. The largest role
// of a published controller has some hundred.
const maxAtoms = 10_000

// ErrTooWide is returned for rules that stand for more single rights than are looked at.
var ErrTooWide = errors.New("the rule combines too many verbs, groups, resources and names: split it, or use *")

// Missing returns what the wanted rules allow and the granted ones don't; none: everything is granted. Rules mean what they mean to the API
// server, with one difference: * in a granted rule doesn't stand for the verbs escalate, bind and impersonate (see sharp). The error is
// ErrTooWide.
func Missing(granted, wanted []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	var missing []rbacv1.PolicyRule
	for _, w := range wanted {
		if !slices.ContainsFunc(granted, func(g rbacv1.PolicyRule) bool { return coversRule(g, w) }) {
			if size(w) > maxAtoms {
				return nil, ErrTooWide
			}
			for _, a := range atoms(w) {
				if !slices.ContainsFunc(granted, func(g rbacv1.PolicyRule) bool { return coversRule(g, a) }) {
					missing = append(missing, a)
				}
			}
		}
		missing = append(missing, unnamed(granted, w)...)
	}
	return Compact(missing), nil
}

// coversRule is whether one rule allows all that another one does.
func coversRule(g, w rbacv1.PolicyRule) bool {
	if len(w.NonResourceURLs) > 0 && (len(w.Resources) > 0 || len(w.APIGroups) > 0) {
		return false // the API server refuses it; taken apart it is judged by its halves
	}
	if len(w.NonResourceURLs) > 0 {
		return all(w.Verbs, within(g.Verbs)) && all(w.NonResourceURLs, func(u string) bool { return coversURL(g.NonResourceURLs, u) })
	}
	return all(w.Verbs, within(g.Verbs)) && all(w.APIGroups, within(g.APIGroups)) &&
		all(w.Resources, func(r string) bool { return coversResource(g.Resources, r) }) &&
		(len(g.ResourceNames) == 0 || len(w.ResourceNames) > 0 && all(w.ResourceNames, func(n string) bool { return slices.Contains(g.ResourceNames, n) }))
}

func all(list []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !ok(s) })
}

// within is for lists in which * stands for everything.
func within(list []string) func(string) bool {
	return func(s string) bool { return slices.Contains(list, s) || slices.Contains(list, "*") }
}

// coversResource knows that "*/scale" stands for that subresource of everything. "pods/*" stands for nothing.
func coversResource(list []string, r string) bool {
	if within(list)(r) {
		return true
	}
	_, sub, is := strings.Cut(r, "/")
	return is && slices.Contains(list, "*/"+sub)
}

func coversURL(list []string, url string) bool {
	return slices.ContainsFunc(list, func(g string) bool {
		prefix, open := strings.CutSuffix(g, "*")
		return g == url || open && strings.HasPrefix(url, prefix)
	})
}

func size(r rbacv1.PolicyRule) int {
	n := len(r.Verbs) * (len(r.NonResourceURLs) + len(r.APIGroups)*len(r.Resources))
	return n * max(1, len(r.ResourceNames))
}

// atoms takes a rule apart into rules of one verb, one group, one resource and at most one name.
func atoms(r rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, v := range r.Verbs {
		for _, u := range r.NonResourceURLs {
			out = append(out, rbacv1.PolicyRule{Verbs: []string{v}, NonResourceURLs: []string{u}})
		}
		for _, g := range r.APIGroups {
			for _, res := range r.Resources {
				for _, n := range apart(r.ResourceNames) {
					out = append(out, rbacv1.PolicyRule{Verbs: []string{v}, APIGroups: []string{g}, Resources: []string{res}, ResourceNames: n})
				}
			}
		}
	}
	return out
}
