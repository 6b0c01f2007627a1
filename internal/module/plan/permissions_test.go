package plan_test

import (
	"context"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestPermissions tries attacks on a real cluster; package permit has all of them, one by one.
func TestPermissions(t *testing.T) {
	pod := func(namespace, account string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: " + namespace + "}\nspec: {serviceAccountName: " + account + ", containers: [{name: c, image: i}]}"
	}
	cases := map[string]struct {
		reason, grant, objects string
		change                 func(*v1alpha1.ModuleSpec)
		pkg                    func(*plan.Package)
		want                   []string
	}{
		"NoGrant": {
			reason: "without a grant a package stays in a namespace of its own, and has no rights", objects: docs(account, role, binding, deployment),
			want: []string{"Permissions ClusterRole/", "Permissions ClusterRole/", "Permissions ClusterRoleBinding/"},
		},
		"OwnNamespaceOnly": {reason: "and that takes no grant", objects: docs(account, deployment, settings)},
		"KubeSystem": {
			reason: "whoever writes a Module doesn't get into kube-system by saying so", objects: pod("kube-system", "generic-garbage-collector"),
			change: func(s *v1alpha1.ModuleSpec) { s.Namespace = "kube-system" },
			want: []string{
				"Permissions Pod/kube-system/p: allows more than is granted, because ClusterRoleBinding/system:controller:generic-garbage-collector gives service account kube-system/generic-garbage-collector rights already",
				"Permissions Pod/kube-system/p: is in namespace kube-system, which was there before the Module",
				"DryRun Pod/kube-system/p: runs as a service account that doesn't exist",
			},
		},
		"ClusterAdmin": {
			reason: "the exact rules that are missing", grant: enough, objects: docs(account, strings.Replace(binding, "name: NAME}\nsubjects", "name: cluster-admin}\nsubjects", 1)),
			want: []string{`by ClusterRole cluster-admin, in the whole cluster. Missing in clusterRules of ModuleGrant`},
		},
		"Delegator": {
			reason:  "roles of Kubernetes itself may be bound if what they allow is granted",
			grant:   `{clusterRules: [{apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}, {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}]}`,
			objects: docs(account, strings.Replace(binding, "name: NAME}\nsubjects", "name: \"system:auth-delegator\"}\nsubjects", 1)),
		},
		"EditOfKubernetes": {
			reason: "what edit is made of allows to act as the accounts of the namespace, which * doesn't stand for", grant: `{namespaces: [NS], rules: [{apiGroups: ["", apps, batch, autoscaling, policy, networking.k8s.io, extensions, discovery.k8s.io, coordination.k8s.io, resource.k8s.io, metrics.k8s.io, events.k8s.io], resources: ["*"], verbs: ["*"]}]}`,
			objects: docs(account, "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: \"system:aggregate-to-edit\"}\nsubjects: [{kind: ServiceAccount, name: runner, namespace: NS}]"),
			want:    []string{`{apiGroups: [""], resources: [serviceaccounts], verbs: [impersonate]}`},
		},
		"BootstrapSecrets": {
			reason: "a package has no Module and no grant in it", grant: `{clusterObjects: [{group: slipway.dev, kind: Module}]}`,
			objects: "apiVersion: slipway.dev/v1alpha1\nkind: Module\nmetadata: {name: inner}\nspec: {source: {oci: {url: 'oci://a/b'}}}",
			want:    []string{"is of a kind of Slipway"},
		},
		"GrantMissing": {
			reason: "a grant that isn't there", objects: settings, change: func(s *v1alpha1.ModuleSpec) { s.GrantRef = &v1alpha1.GrantReference{Name: "nowhere"} },
			want: []string{"Permissions : ModuleGrant nowhere doesn't exist"},
		},
		"JudgesOthers": {
			reason: "an interpreter for Deployments would decide about everybody's upgrades", objects: settings, pkg: func(p *plan.Package) {
				p.Interpreters = []plan.Interpreter{{Name: "evil", Definition: interpret.Definition{
					Target: interpret.Target{Group: "apps", Kind: "Deployment"}, Health: []interpret.Rule{{State: "Healthy"}},
				}}}
			},
			want: []string{"Permissions Interpreter/evil: is for "},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.grant != "" {
				w.grant(c.grant)
			}
			if c.change == nil {
				c.change = func(*v1alpha1.ModuleSpec) {}
			}
			if c.pkg == nil {
				c.pkg = func(*plan.Package) {}
			}
			w.put("1.0.0", c.objects, c.pkg)
			wantProblems(t, w.plan(w.module(c.change)), c.reason, c.want...)
		})
	}
}

// installedWithGrant is a module whose grant is just enough for what is installed.
func installedWithGrant(t *testing.T) (*world, *v1alpha1.Module) {
	t.Helper()
	w := newWorld(t)
	w.grant(enough)
	w.put("1.0.0", docs(boats, account, role, binding, settings))
	m := w.module()
	w.install(m, w.plan(m))
	return w, m
}

// TestGrantNarrowedAtRest: what is installed is held against the grant also where nothing else is wanted.
func TestGrantNarrowedAtRest(t *testing.T) {
	w, m := installedWithGrant(t)
	if p := w.plan(m); !p.Same || !p.Good() {
		t.Fatalf("same %t, problems %v: want the same, without a problem", p.Same, p.Problems)
	}
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	p := w.plan(m)
	if !p.Same || len(p.Problems) == 0 || p.Problems[0].Check != plan.CheckPermissions || !p.Reversible || len(p.Irreversible) > 0 {
		t.Errorf("same %t, problems %v, irreversible %v: want the same, which goes beyond the grant", p.Same, p.Problems, p.Irreversible)
	}
}

// TestGrantNarrowedLater: what is installed may no longer be installed again, so that there is no way back to it.
func TestGrantNarrowedLater(t *testing.T) {
	w, m := installedWithGrant(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	w.put("1.1.0", docs(boats, account, settings))
	p := w.plan(m)
	wantProblems(t, p, "the new version is within the grant")
	if p.Reversible || len(p.Irreversible) == 0 || !strings.Contains(p.Irreversible[0], "the grant no longer allows what the installed revision") {
		t.Errorf("reversible %t, %v: want no way back to more rights than are granted", p.Reversible, p.Irreversible)
	}
}

// TestWhoPlansWithFewRights: a person's plan says what it could not see, and is no plan to begin with.
func TestWhoPlansWithFewRights(t *testing.T) {
	w := newWorld(t)
	w.put("1.0.0", docs(account, settings))
	m := w.module()
	admin := w.client
	for _, o := range w.objects("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: NAME-few}\nrules: [{apiGroups: [\"\"], resources: [namespaces], verbs: [get]}]\n---\n" +
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: NAME-few}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME-few}\nsubjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: NAME}]") {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Delete(context.Background(), o) })
	}
	w.env.AwaitRights(t, w.name, authorizationv1.ResourceAttributes{Resource: "namespaces", Verb: "get"})
	w.settle(rest.CopyConfig(w.env.User(w.name)))
	p, err := w.planner.Plan(t.Context(), m, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DryRun ConfigMap/", "is forbidden", "Permissions : the cluster's ", "the other modules can't be read"} {
		if !strings.Contains(problems(p), want) {
			t.Errorf("the problems are\n%s\nwant %s", problems(p), want)
		}
	}
}

// TestRightsThatADryRunDoesNotShow: whoever may write all of it, and delete nothing, can go there and not come back.
func TestRightsThatADryRunDoesNotShow(t *testing.T) {
	w := newWorld(t)
	w.grant("{namespaces: [" + w.env.Namespace + "]}")
	m := w.module(func(s *v1alpha1.ModuleSpec) { s.Namespace = w.env.Namespace })
	w.put("1.0.0", docs(settings, strings.Replace(settings, "name: settings", "name: more", 1)))
	w.install(m, w.plan(m))
	for _, o := range w.objects(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME-most}
rules:
- {apiGroups: ["", apps, rbac.authorization.k8s.io, slipway.dev, admissionregistration.k8s.io, apiextensions.k8s.io], resources: ["*"], verbs: [get, list, watch]}
- {apiGroups: ["", apps], resources: ["*"], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME-most}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME-most}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: NAME}]`) {
		if err := w.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.env.Client(t).Delete(context.Background(), o) })
	}
	w.env.AwaitRights(t, w.name, authorizationv1.ResourceAttributes{Resource: "configmaps", Verb: "create"})
	w.settle(rest.CopyConfig(w.env.User(w.name)))
	w.put("1.1.0", docs(settings, "apiVersion: v1\nkind: Service\nmetadata: {name: new}\nspec: {ports: [{port: 80}]}"))
	p := w.plan(m)
	wantProblems(t, p, "what is deleted at the commit", "Permissions ConfigMap/"+w.env.Namespace+"/more: whoever carries the plan out may not delete configmaps")
	if p.Reversible || len(p.Irreversible) != 1 || !strings.Contains(p.Irreversible[0], "must be allowed to delete services in namespace "+w.env.Namespace) {
		t.Errorf("reversible %t, %v: want no way back", p.Reversible, p.Irreversible)
	}
}

// TestAdoptedNamespace: a namespace that was there before the module isn't its own in the next version either, although the grant lets the module
// have it.
func TestAdoptedNamespace(t *testing.T) {
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}"
	w := newWorld(t)
	w.make(namespace)
	w.grant(`{clusterObjects: [{group: "", kind: Namespace, names: [NS]}]}`)
	w.put("1.0.0", namespace)
	m := w.module(func(s *v1alpha1.ModuleSpec) { s.Adopt = true })
	p := w.plan(m)
	if len(p.Before) != 1 {
		t.Fatalf("%d objects were there before, want the namespace", len(p.Before))
	}
	w.install(m, p)
	w.put("2.0.0", docs(namespace, settings))
	wantProblems(t, w.plan(m), "what is in it is others'", "Permissions ConfigMap/"+w.name+"/settings")
}
