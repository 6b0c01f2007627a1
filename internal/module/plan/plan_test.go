package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

const (
	boats = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.NAME.example}
spec:
  group: NAME.example
  scope: Namespaced
  names: {kind: Boat, listKind: BoatList, plural: boats, singular: boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {sails: {type: integer}}}}}}`

	account = `apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}`

	role = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules: [{apiGroups: [NAME.example], resources: [boats], verbs: [get, list, watch]}]`

	binding = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}
subjects: [{kind: ServiceAccount, name: runner, namespace: NS}]`

	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: runner}
spec:
  selector: {matchLabels: {app: runner}}
  template:
    metadata: {labels: {app: runner}}
    spec: {serviceAccountName: runner, containers: [{name: runner, image: "registry.example.com/runner:1.0.0"}]}`

	settings = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: info}`

	password = `apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}`

	boat = `apiVersion: NAME.example/v1
kind: Boat
metadata: {name: one}
spec: {sails: 2}`

	enough = `{namespaces: [NS], clusterRules: [{apiGroups: ["*"], resources: [boats], verbs: ["*"]}], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`
)

func docs(all ...string) string { return strings.Join(all, "\n---\n") }

// TestPlanOfALife follows a module through a first installation, a look at the same, and an upgrade.
func TestPlanOfALife(t *testing.T) {
	w := newWorld(t)
	w.grant(enough)
	w.put("1.0.0", docs(boats, account, role, binding, deployment, settings, password, boat))
	m := w.module()
	first := w.plan(m)
	wantProblems(t, first, "all of it is granted, and the cluster has none of it")
	if want := (v1alpha1.ObjectCounts{Create: 9}); first.Counts != want || !first.Reversible || first.Same {
		t.Errorf("counts %+v, reversible %t, same %t: want nine new objects, the namespace is one of them", first.Counts, first.Reversible, first.Same)
	}
	var steps []string
	for _, s := range first.Steps {
		steps = append(steps, fmt.Sprint(s.Name, len(s.Objects)))
	}
	if diff := cmp.Diff([]string{"namespaces1", "definitions1", "roles3", "configuration2", "workloads2"}, steps); diff != "" {
		t.Errorf("steps: -want +got:\n%s", diff)
	}
	if first.Digest != revision.Digest(first.Steps) || first.Version != "1.0.0" || first.Namespace != w.name {
		t.Errorf("digest %s, version %s, namespace %s", first.Digest, first.Version, first.Namespace)
	}
	if want := []string{"{apiGroups: [" + w.name + ".example], resources: [boats], verbs: [get, list, watch]} in the whole cluster"}; w.name != "" && len(first.AddedPermissions) != 1 ||
		!strings.Contains(first.AddedPermissions[0], "resources: [boats], verbs: [get, list, watch]} in the whole cluster") {
		t.Errorf("added permissions %v, want %v", first.AddedPermissions, want)
	}
	if got := w.objects("apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}"); first.Steps[0].Objects[0].GetLabels()["pod-security.kubernetes.io/enforce"] != "baseline" {
		t.Errorf("the namespace lets pods do more than the grant: %v %v", first.Steps[0].Objects[0].GetLabels(), got)
	}
	again := w.plan(m)
	if again.Digest != first.Digest {
		t.Errorf("the same package has the digests %s and %s", first.Digest, again.Digest)
	}
	w.install(m, first)
	if same := w.plan(m); !same.Same || !same.Good() {
		t.Errorf("after the installation something else is wanted: %+v", same)
	}

	w.put("1.1.0", docs(boats, account, strings.Replace(role, "[get, list, watch]", "[get, list, watch, delete]", 1), binding,
		strings.Replace(deployment, ":1.0.0", ":1.1.0", 1), strings.Replace(password, "hunter2", "hunter3", 1), boat))
	next := w.plan(m)
	wantProblems(t, next, "all of it is granted")
	if want := (v1alpha1.ObjectCounts{Update: 3, Delete: 1, Unchanged: 5}); next.Counts != want || next.Same || !next.Reversible {
		t.Errorf("counts %+v, want %+v; irreversible %v", next.Counts, want, next.Irreversible)
	}
	if diff := cmp.Diff([]plan.Field{{Path: `.spec.template.spec.containers[name="runner"].image`, From: `"registry.example.com/runner:1.0.0"`, To: `"registry.example.com/runner:1.1.0"`}},
		changeOf(t, next, "Deployment/"+w.name+"/runner").Fields); diff != "" {
		t.Errorf("fields of the Deployment: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]plan.Field{{Path: ".data.password"}}, changeOf(t, next, "Secret/"+w.name+"/login").Fields); diff != "" {
		t.Errorf("fields of the Secret: -want +got:\n%s", diff)
	}
	if c := changeOf(t, next, "ConfigMap/"+w.name+"/settings"); c.Action != plan.Delete {
		t.Errorf("what the new version hasn't is %+v, want it to be deleted", c)
	}
	if len(next.AddedPermissions) != 1 || !strings.Contains(next.AddedPermissions[0], "verbs: [delete]}") {
		t.Errorf("added permissions %v, want delete alone", next.AddedPermissions)
	}
	if len(next.Baseline) != 1 || next.Baseline[0].Object != "Deployment/"+w.name+"/runner" {
		t.Errorf("baseline %v, want the Deployment, whose pods nobody runs", next.Baseline)
	}
	if len(next.Before) != 0 {
		t.Errorf("%d objects are of no revision, want none", len(next.Before))
	}
	text, err := json.Marshal(next)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter", "aHVudGVy"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the plan as JSON tells the value of a Secret: %s", text)
		}
	}
}

// TestRequests: two a object, and a few for the rest; nothing is written, and no more is under way at once than was asked for.
func TestRequests(t *testing.T) {
	w := newWorld(t, func(s *plan.Settings) { s.Concurrency = 4 })
	var all []string
	for i := range 60 {
		all = append(all, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d, namespace: %s}\ndata: {a: b}", i, w.env.Namespace))
	}
	w.grant("{namespaces: [" + w.env.Namespace + "]}")
	w.put("1.0.0", docs(all...))
	m := w.module(func(s *v1alpha1.ModuleSpec) { s.Namespace = w.env.Namespace })
	w.plan(m) // learns what the cluster serves
	p := w.plan(m)
	wantProblems(t, p, "all of it is granted")
	if asked, want := w.seen.others(), 2*60+11; len(asked) > want {
		t.Errorf("%d requests for 60 objects, want at most %d:\n%s", len(asked), want, strings.Join(asked, "\n"))
	}
	if w.seen.atOnce > 4 {
		t.Errorf("%d requests were under way at once, want at most 4", w.seen.atOnce)
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.grant("{namespaces: [" + w.env.Namespace + "]}")
	m := w.module(func(s *v1alpha1.ModuleSpec) { s.Namespace = w.env.Namespace })
	w.make("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed, namespace: " + w.env.Namespace + ", labels: {slipway.dev/name: NAME}}\nimmutable: true\ndata: {a: b}")
	cases := map[string]struct{ reason, objects, want string }{
		"Invalid":     {reason: "what the API server refuses", objects: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\nbinaryData: [1]", want: "DryRun ConfigMap/"},
		"Unknown":     {reason: "a field that nobody knows", objects: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndate: {a: b}", want: "DryRun ConfigMap/"},
		"KindMissing": {reason: "a kind that nobody serves", objects: "apiVersion: nowhere.example/v1\nkind: Thing\nmetadata: {name: c, namespace: default}", want: "is of a kind that the cluster doesn't serve"},
		"Immutable":   {reason: "a field that can't change", objects: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {a: c}", want: "a field that can't be changed"},
		"Twice":       {reason: "an object that is there twice", objects: docs(settings, settings), want: "is twice in the set"},
		"SecretText":  {reason: "refusals don't quote Secrets", objects: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: hunter2-is-no-base64}", want: "DryRun Secret/"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.put("1.0.0", c.objects)
			p := w.plan(m)
			wantProblems(t, p, c.reason, c.want)
			if strings.Contains(problems(p), "hunter2") {
				t.Errorf("a problem quotes a Secret:\n%s", problems(p))
			}
		})
	}
}

// TestRefusalsQuoteNobody: a module without a grant names an object of others, so that the API server refuses it, and quotes it.
func TestRefusalsQuoteNobody(t *testing.T) {
	w := newWorld(t)
	w.make("apiVersion: batch/v1\nkind: Job\nmetadata: {name: theirs, namespace: " + w.env.Namespace + "}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n" +
		"      containers: [{name: c, image: registry.example.com/c, env: [{name: PASSWORD, value: hunter2}]}]")
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: theirs, namespace: " + w.env.Namespace + "}\nspec:\n  template:\n    metadata: {labels: {more: a}}\n" +
		"    spec:\n      restartPolicy: Never\n      containers: [{name: c, image: registry.example.com/c}]"
	w.put("1.0.0", docs(settings, job))
	p := w.plan(w.module(func(s *v1alpha1.ModuleSpec) { s.GrantRef = nil }))
	wantProblems(t, p, "it is refused, and that is all", "where the package may have nothing", "DryRun Job/"+w.env.Namespace+"/theirs: is there already, belongs to somebody else")
	if text := problems(p); strings.Contains(text, "hunter2") {
		t.Errorf("the plan quotes what only the agent may read:\n%s", text)
	}
}

// TestDryRunOfAFirstInstallation: what isn't valid is found also where the namespace is still to come.
func TestDryRunOfAFirstInstallation(t *testing.T) {
	w := newWorld(t)
	m := w.module()
	w.put("1.0.0", docs(settings, strings.Replace(deployment, "containers: [", "containres: [", 1)+"\n---\n"+account,
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: hunter2-is-no-base64}"))
	p := w.plan(m)
	wantProblems(t, p, "a field that nobody knows, and a Secret that isn't one", "DryRun Deployment/"+w.name+"/runner: is not valid", "DryRun Secret/"+w.name+"/s: is not valid")
	if got := problems(p); strings.Contains(got, "hunter2") || strings.Contains(got, "slipway-try") || strings.Contains(got, agentNamespace) {
		t.Errorf("the problems tell what they shouldn't:\n%s", got)
	}
}

func TestOwners(t *testing.T) {
	w := newWorld(t)
	w.grant("{namespaces: [" + w.env.Namespace + "]}")
	meta := func(name, labels, notes string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s, labels: {%s}, annotations: {%s}}\ndata: {a: theirs}", name, w.env.Namespace, labels, notes)
	}
	cases := map[string]struct {
		reason, live, want string
		never              bool
	}{
		"helm":    {reason: "Helm's release", live: meta("helm", "app.kubernetes.io/managed-by: Helm", "meta.helm.sh/release-name: shop, meta.helm.sh/release-namespace: web"), want: "belongs to Helm release web/shop"},
		"flux":    {reason: "a Kustomization", live: meta("flux", "kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system", ""), want: "belongs to Kustomization flux-system/apps"},
		"release": {reason: "a HelmRelease", live: meta("release", "helm.toolkit.fluxcd.io/name: apps, helm.toolkit.fluxcd.io/namespace: flux-system", ""), want: "belongs to HelmRelease flux-system/apps"},
		"argo":    {reason: "Argo CD", live: meta("argo", "", `argocd.argoproj.io/tracking-id: "shop:/ConfigMap:web/argo"`), want: "belongs to Argo CD application shop"},
		"module":  {reason: "another module", live: meta("module", "slipway.dev/name: other", ""), want: "belongs to Module other", never: true},
		"kube":    {reason: "Kubernetes itself", live: meta("kube", "kube-aggregator.kubernetes.io/automanaged: onstart", ""), want: "belongs to Kubernetes itself", never: true},
		"person":  {reason: "a person", live: meta("person", "", ""), want: "belongs to somebody"},
		"control": {reason: "another object's controller", never: true, want: "belongs to Thing x", live: fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: control, namespace: %s, ownerReferences: [{apiVersion: v1, kind: Thing, name: x, uid: u, controller: true}]}", w.env.Namespace)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, env: w.env, client: w.client, clients: w.clients, store: w.store, planner: w.planner, seen: w.seen, shelf: w.shelf, name: w.name}
			w.make(c.live)
			w.put("1.0.0", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\ndata: {a: ours}")
			m := w.module(func(s *v1alpha1.ModuleSpec) { s.Namespace = w.env.Namespace })
			wantProblems(t, w.plan(m), c.reason, c.want)
			m.Spec.Adopt = true
			p := w.plan(m)
			if c.never {
				wantProblems(t, p, c.reason+", also with adopt", c.want)
				return
			}
			wantProblems(t, p, c.reason+", with adopt")
			if change := changeOf(t, p, "ConfigMap/"+w.env.Namespace+"/"+name); change.Action != plan.Adopt || len(p.Before) != 1 || p.Before[0].GetManagedFields() == nil {
				t.Errorf("%s: %+v, with %d objects to put back, want it adopted and one with its managedFields", c.reason, change, len(p.Before))
			}
		})
	}
}

// TestSourceThatDoesNotAnswer is no problem of the module's, and what lasts is.
func TestSourceThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	m := w.module()
	w.shelf.err = &plan.Unavailable{Err: errors.New("the registry is away")}
	var unavailable *plan.Unavailable
	if p, err := w.planner.Plan(t.Context(), m, time.Time{}); !errors.As(err, &unavailable) || p != nil {
		t.Errorf("a registry that is away gives %v, %v", p, err)
	}
	w.shelf.err = errors.New("none of the versions is in the range: correct spec.version")
	wantProblems(t, w.plan(m), "what lasts", "Resolve : none of the versions is in the range")
	w.shelf.err = nil
	w.put("1.0.0", settings, func(p *plan.Package) { p.KubeVersion, p.Agent = "<1.20", ">=9" })
	wantProblems(t, w.plan(m), "versions that don't go together", "works with Kubernetes <1.20", "works with Slipway >=9")
}
