package permit_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/permit"
)

// FuzzCheck: whatever objects a package has, the answer comes, and is the same the second time; and where nothing is granted, no package gets
// rights without a finding.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{
		account, boat, clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), clusterBinding("view", ownSubject),
		pod("{containers: [{name: c, image: i}]}"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {pod-security.kubernetes.io/enforce: x}}",
		"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j, namespace: runners}\nspec: {jobTemplate: 3}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: tiller, annotations: {kubernetes.io/service-account.name: tiller}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var objects []*unstructured.Unstructured
		for doc := range strings.SplitSeq(text, "\n---\n") {
			o := &unstructured.Unstructured{}
			asJSON, err := yaml.YAMLToJSON([]byte(doc))
			if err != nil || o.UnmarshalJSON(asJSON) != nil {
				return
			}
			objects = append(objects, o)
		}
		q := permit.Question{
			Module: "runner", Namespace: "runners", Own: true, Objects: objects, Served: served, Live: live(),
			Agent: permit.Agent{Namespace: "slipway-system", Accounts: []string{"slipway-agent"}},
		}
		answer := permit.Check(q)
		again := permit.Check(q)
		if len(answer.Findings) != len(again.Findings) {
			t.Errorf("the same package has %d findings, and then %d", len(answer.Findings), len(again.Findings))
		}
		if rights(answer.Permissions) && len(answer.Findings) == 0 {
			t.Errorf("without a grant it gets %v", answer.Permissions)
		}
	})
}

func rights(p v1alpha1.Permissions) bool {
	some := func(rules []rbacv1.PolicyRule) bool {
		missing, err := permit.Missing(nil, rules)
		return err != nil || len(missing) > 0
	}
	if some(p.ClusterRules) {
		return true
	}
	for _, n := range p.NamespaceRules {
		if some(n.Rules) {
			return true
		}
	}
	return false
}
