package attempt

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWidened: nobody who works loses a right, and nothing but roles is touched.
func TestWidened(t *testing.T) {
	const group = "apiVersion: rbac.authorization.k8s.io/v1\n"
	cases := map[string]struct {
		reason          string
		next, old, want string
	}{
		"Role": {
			"a role allows what either allows",
			group + "kind: Role\nmetadata: {name: r, namespace: n}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
			group + "kind: Role\nmetadata: {name: r, namespace: n}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [get]}, {apiGroups: [''], resources: [pods], verbs: [get]}]",
			group + "kind: Role\nmetadata: {name: r, namespace: n}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}, {apiGroups: [''], resources: [secrets], verbs: [get]}]",
		},
		"OtherNamespace": {
			"a role of the same name elsewhere is another role",
			group + "kind: Role\nmetadata: {name: r, namespace: n}\nrules: []",
			group + "kind: Role\nmetadata: {name: r, namespace: m}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
			group + "kind: Role\nmetadata: {name: r, namespace: n}\nrules: []",
		},
		"Emptied": {
			"a role that allows nothing any more still does until the commit",
			group + "kind: ClusterRole\nmetadata: {name: r}",
			group + "kind: ClusterRole\nmetadata: {name: r}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
			group + "kind: ClusterRole\nmetadata: {name: r}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
		},
		"Aggregated": {
			"a role that is put together from others has no rules of its own",
			group + "kind: ClusterRole\nmetadata: {name: r}\naggregationRule: {clusterRoleSelectors: []}",
			group + "kind: ClusterRole\nmetadata: {name: r}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
			group + "kind: ClusterRole\nmetadata: {name: r}\naggregationRule: {clusterRoleSelectors: []}",
		},
		"Binding": {
			"a binding binds whom either binds",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: new}]",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: old}]",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: new}, {kind: ServiceAccount, name: old}]",
		},
		"OtherRole": {
			"whom an old binding gave another role isn't given the new one",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: admin}\nsubjects: [{kind: ServiceAccount, name: new}]",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: old}]",
			group + "kind: RoleBinding\nmetadata: {name: b, namespace: n}\nroleRef: {kind: Role, name: admin}\nsubjects: [{kind: ServiceAccount, name: new}]",
		},
		"ServiceAccount": {
			"what is no role stays as it is",
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: n}",
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: n}\nsecrets: [{name: x}]",
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: n}",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			next := object(t, tc.next)
			got := widened([]*unstructured.Unstructured{next}, []*unstructured.Unstructured{object(t, tc.old)})
			if diff := cmp.Diff(object(t, tc.want).Object, got[0].Object); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(object(t, tc.next).Object, next.Object); diff != "" {
				t.Errorf("the object given was changed:\n%s", diff)
			}
		})
	}
}
