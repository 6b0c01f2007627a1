package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/author"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	labtest.Main(m)
}

const agentNamespace = "slipway-system"

// world is a cluster, a planner in it, and the packages that it finds.
type world struct {
	*testing.T
	env     *labtest.Env
	client  client.Client
	clients *kube.Clients
	store   *revision.Store
	planner *plan.Planner
	seen    *requests
	shelf   *shelf
	// name of the test's module, its namespace and its grant.
	name string
}

func newWorld(t *testing.T, change ...func(*plan.Settings)) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_*.yaml")
	w := &world{T: t, env: env, seen: &requests{}, shelf: &shelf{packages: map[string]*plan.Package{}}, name: env.Namespace + "-m"}
	w.name = w.name[max(0, len(w.name)-40):]
	w.name = strings.Trim(w.name, "-")
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(w.seen.wrap)
	w.settle(cfg, change...)
	w.make("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + agentNamespace + "}")
	policy, binding, err := author.Policy()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{policy, binding} {
		if err := w.client.Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	return w
}

// settle makes clients and a planner for a configuration.
func (w *world) settle(cfg *rest.Config, change ...func(*plan.Settings)) {
	w.Helper()
	var err error
	if w.clients, err = kube.NewClients(cfg); err != nil {
		w.Fatal(err)
	}
	w.client = labtest.Client(w, cfg, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme)
	w.store = revision.NewStore(w.client, agentNamespace)
	s := plan.Settings{
		Clients: w.clients, Client: w.client, Revisions: w.store, Packages: w.shelf, Version: "1.0.0",
		Agent: permit.Agent{Namespace: agentNamespace, Accounts: []string{"slipway-agent"}},
	}
	for _, c := range change {
		c(&s)
	}
	w.planner = plan.New(s)
}

// requests counts what is asked of the API server.
type requests struct {
	mu      sync.Mutex
	all     []string
	now     int
	atOnce  int
	writing []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		line := req.Method + " " + req.URL.Path
		r.mu.Lock()
		r.all = append(r.all, line)
		if req.Method != http.MethodGet && req.URL.Query().Get("dryRun") == "" && !strings.Contains(req.URL.Path, "accessreviews") {
			r.writing = append(r.writing, line)
		}
		r.now++
		r.atOnce = max(r.atOnce, r.now)
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			r.now--
			r.mu.Unlock()
		}()
		return next.RoundTrip(req)
	})
}

// others are the requests but those for one definition each: what other tests leave goes in its own time, and what changes is read again.
func (r *requests) others() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.all), func(line string) bool { return strings.Contains(line, "/customresourcedefinitions/") })
}

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.writing, r.atOnce = nil, nil, 0
}

// shelf has packages by their version; the newest that was put there is wanted.
type shelf struct {
	packages map[string]*plan.Package
	wanted   string
	err      error
}

func (s *shelf) Choose(context.Context, *v1alpha1.Module) (plan.Choice, error) {
	return plan.Choice{Version: s.wanted}, s.err
}

func (s *shelf) Fetch(_ context.Context, _ *v1alpha1.Module, version string) (*plan.Package, error) {
	return s.packages[version], nil
}

// put puts a package on the shelf whose objects are YAML. NS stands for the module's namespace, NAME for its name.
func (w *world) put(version, text string, change ...func(*plan.Package)) {
	w.Helper()
	p := &plan.Package{
		ResolvedPackage: v1alpha1.ResolvedPackage{Name: "runner", URL: "oci://registry.example.com/runner", Digest: revision.DigestOf([]byte(version + text))},
		Version:         version,
		Reversible:      func(string) (bool, string) { return true, "" },
		Render: func(context.Context, plan.Rendering) ([]*unstructured.Unstructured, error) {
			return w.objects(text), nil
		},
	}
	for _, c := range change {
		c(p)
	}
	w.shelf.packages[version], w.shelf.wanted = p, version
}

func (w *world) objects(text string) []*unstructured.Unstructured {
	w.Helper()
	text = strings.NewReplacer("NAME", w.name, "NS", w.name).Replace(text)
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq("\n"+text, "\n---\n") {
		o := &unstructured.Unstructured{}
		asJSON, err := yaml.YAMLToJSON([]byte(doc))
		if err == nil {
			err = o.UnmarshalJSON(asJSON)
		}
		if err != nil {
			w.Fatalf("%v in:\n%s", err, doc)
		}
		out = append(out, o)
	}
	return out
}

// make creates objects, and removes them at the end.
func (w *world) make(text string) {
	w.Helper()
	for _, o := range w.objects(text) {
		err := w.client.Create(w.Context(), o)
		if apierrors.IsAlreadyExists(err) && o.GetKind() == "Namespace" {
			continue
		}
		if err != nil {
			w.Fatalf("create %s/%s: %v", o.GetKind(), o.GetName(), err)
		}
		if o.GetKind() != "Namespace" { // nobody finishes their deletion here
			w.Cleanup(func() { _ = w.client.Delete(context.Background(), o) })
		}
	}
}

// remembers waits until the API server, asked for what it has in memory, answers with the object of a UID; "": with none.
func (w *world) remembers(o client.Object, uid types.UID) {
	w.Helper()
	w.eventually("the API server remembers what was written", func(ctx context.Context) bool {
		now := o.DeepCopyObject().(client.Object)
		err := w.client.Get(ctx, client.ObjectKeyFromObject(o), now, &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}})
		if uid == "" {
			return apierrors.IsNotFound(err)
		}
		return err == nil && now.GetUID() == uid
	})
}

// grant makes a grant of the test's that names its module.
func (w *world) grant(spec string) {
	w.Helper()
	g := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "NS", w.name)), &g.Spec); err != nil {
		w.Fatal(err)
	}
	g.Spec.Modules = []string{w.name}
	err := w.client.Create(w.Context(), g)
	if apierrors.IsAlreadyExists(err) {
		was := &v1alpha1.ModuleGrant{}
		if err = w.client.Get(w.Context(), client.ObjectKeyFromObject(g), was); err == nil {
			was.Spec = g.Spec
			err = w.client.Update(w.Context(), was)
		}
	} else {
		w.Cleanup(func() { _ = w.client.Delete(context.Background(), g) })
	}
	if err != nil {
		w.Fatal(err)
	}
}

// module makes the test's Module; with a grant if there is one of its name.
func (w *world) module(change ...func(*v1alpha1.ModuleSpec)) *v1alpha1.Module {
	w.Helper()
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://registry.example.com/runner"}}},
	}
	if err := w.client.Get(w.Context(), client.ObjectKey{Name: w.name}, &v1alpha1.ModuleGrant{}); err == nil {
		m.Spec.GrantRef = &v1alpha1.GrantReference{Name: w.name}
	}
	for _, c := range change {
		c(&m.Spec)
	}
	if err := w.client.Create(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), m) })
	return m
}

// plan makes a plan, and holds it to writing nothing.
func (w *world) plan(m *v1alpha1.Module) *plan.Plan {
	w.Helper()
	w.seen.reset()
	p, err := w.planner.Plan(w.Context(), m, time.Time{})
	if err != nil {
		w.Fatalf("plan: %v", err)
	}
	if len(w.seen.writing) > 0 {
		w.Errorf("the plan has written: %v", w.seen.writing)
	}
	return p
}

// install does what an attempt does with a plan: stores the revision, applies it, prunes, and makes it the current one.
func (w *world) install(m *v1alpha1.Module, p *plan.Plan) {
	w.Helper()
	if !p.Good() {
		w.Fatalf("the plan has problems:\n%s", problems(p))
	}
	number := int64(1)
	if c := m.Status.Current; c != nil {
		_, err := fmt.Sscanf(c.Revision[strings.LastIndex(c.Revision, "-")+1:], "%d", &number)
		if err != nil {
			w.Fatal(err)
		}
		number++
	}
	content, err := json.Marshal(p)
	if err != nil {
		w.Fatal(err)
	}
	rev := &v1alpha1.ModuleRevision{
		ObjectMeta: metav1.ObjectMeta{Name: revision.Name(m.Name, number)},
		Spec: v1alpha1.ModuleRevisionSpec{
			Module: m.Name, Number: number, Version: p.Version, Package: p.Package, Namespace: p.Namespace, Reversible: p.Reversible, Permissions: p.Permissions,
		},
	}
	if err := w.store.Save(w.Context(), rev, p.Steps, p.Before, content); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), rev) })
	engine := apply.New(w.clients, nil, apply.Settings{})
	options := apply.Options{Owner: plan.Owner(m.Name), Manager: plan.Manager(m.Name)}
	for _, step := range p.Steps {
		var incomplete *apply.Incomplete
		err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) {
			_, err := engine.Apply(ctx, step.Objects, options)
			if errors.As(err, &incomplete) {
				return false, nil
			}
			return true, err
		})
		if err != nil {
			w.Fatalf("apply step %s: %v", step.Name, err)
		}
		for _, o := range step.Objects {
			if o.GetNamespace() == "" && o.GetKind() != "Namespace" { // the others go with their namespace as far as the next test is concerned
				w.Cleanup(func() { _ = w.client.Delete(context.Background(), o.DeepCopy()) })
			}
		}
	}
	m.Status.Current = &v1alpha1.RevisionReference{Version: p.Version, Digest: p.Digest, Revision: rev.Name}
	if err := w.client.Status().Update(w.Context(), m); err != nil {
		w.Fatal(err)
	}
}

// problems are all problems of a plan, one a line.
func problems(p *plan.Plan) string {
	var out []string
	for _, one := range p.Problems {
		out = append(out, one.Check+" "+one.Object+": "+one.Message)
	}
	return strings.Join(out, "\n")
}

// wantProblems holds a plan to having problems with these texts in them, and no others.
func wantProblems(t *testing.T, p *plan.Plan, reason string, want ...string) {
	t.Helper()
	got := problems(p)
	for _, text := range want {
		if !strings.Contains(got, text) {
			t.Errorf("%s: the problems are\n%s\nwant %s", reason, got, text)
		}
	}
	if len(p.Problems) > len(want) {
		t.Errorf("%s: there are %d problems, want %d:\n%s", reason, len(p.Problems), len(want), got)
	}
}

func changeOf(t *testing.T, p *plan.Plan, object string) plan.Change {
	t.Helper()
	i := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Object == object })
	if i < 0 {
		t.Fatalf("nothing is said of %s, but of %v", object, p.Changes)
	}
	return p.Changes[i]
}

func (w *world) eventually(what string, ok func(context.Context) bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) { return ok(ctx), nil })
	if err != nil {
		w.Fatalf("never came true: %s", what)
	}
}
