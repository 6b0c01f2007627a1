package revision_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func newStore(t *testing.T) (*revision.Store, client.Client, *labtest.Env) {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_*.yaml")
	c := env.Client(t, v1alpha1.AddToScheme)
	return revision.NewStore(c, env.Namespace), c, env
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

func some() []*unstructured.Unstructured {
	deployment := object("apps/v1", "Deployment", "n", "web")
	deployment.Object["spec"] = map[string]any{"replicas": int64(3), "ratio": 0.5}
	return []*unstructured.Unstructured{
		object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "hook"),
		deployment,
		object("v1", "ConfigMap", "n", "b"), object("v1", "ConfigMap", "n", "a"), object("v1", "ConfigMap", "m", "z"),
		object("example.com/v1", "Boat", "n", "ark"),
		object("v1", "PersistentVolumeClaim", "n", "disk"),
		object("rbac.authorization.k8s.io/v1", "Role", "n", "r"), object("v1", "ServiceAccount", "n", "s"),
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "boats.example.com"),
		object("v1", "Namespace", "", "n"),
	}
}

func TestSplit(t *testing.T) {
	want := map[v1alpha1.RevisionStep]string{
		v1alpha1.StepNamespaces: "Namespace//n", v1alpha1.StepDefinitions: "CustomResourceDefinition//boats.example.com",
		v1alpha1.StepRoles:         "ServiceAccount/n/s Role/n/r",
		v1alpha1.StepConfiguration: "ConfigMap/m/z ConfigMap/n/a ConfigMap/n/b",
		v1alpha1.StepWorkloads:     "PersistentVolumeClaim/n/disk Deployment/n/web Boat/n/ark",
		v1alpha1.StepWebhooks:      "ValidatingWebhookConfiguration//hook",
	}
	objects := some()
	digest := revision.Digest(revision.Split(objects))
	for range 20 {
		rand.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		steps := revision.Split(objects)
		got := map[v1alpha1.RevisionStep]string{}
		var order []v1alpha1.RevisionStep
		for _, s := range steps {
			order = append(order, s.Name)
			var names []string
			for _, o := range s.Objects {
				names = append(names, o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName())
			}
			got[s.Name] = strings.Join(names, " ")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("steps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(revision.Order(), order); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
		if revision.Digest(steps) != digest {
			t.Fatal("the same objects in another order have another digest")
		}
	}
	if steps := revision.Split(objects[:1]); len(steps) != 1 {
		t.Errorf("steps without objects are kept: %v", steps)
	}
	objects[0].SetLabels(map[string]string{"changed": "yes"})
	if revision.Digest(revision.Split(objects)) == digest {
		t.Error("another object has the same digest")
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	s, c, env := newStore(t)
	ctx := t.Context()
	content := []byte(strings.Repeat("a boat ", 1000))
	ref, err := s.Put(ctx, content)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Put(ctx, content)
	if err != nil || again != ref {
		t.Errorf("the same content twice: %+v, %v", again, err)
	}
	if got, err := s.Get(ctx, ref); err != nil || string(got) != string(content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: env.Namespace, Name: ref.Secret}, secret); err != nil || secret.Immutable == nil || !*secret.Immutable {
		t.Errorf("the Secret can be changed: %v, %v", secret.Immutable, err)
	}
	if len(secret.Data["content"]) > 200 {
		t.Errorf("it isn't compressed: %d bytes", len(secret.Data["content"]))
	}

	for name, tc := range map[string]struct {
		change func(*v1alpha1.ContentReference)
		want   error
	}{
		"OtherDigest": {func(r *v1alpha1.ContentReference) { r.Digest = revision.DigestOf(nil) }, revision.ErrCorrupt},
		"Larger":      {func(r *v1alpha1.ContentReference) { r.Bytes-- }, revision.ErrCorrupt},
		"Smaller":     {func(r *v1alpha1.ContentReference) { r.Bytes++ }, revision.ErrCorrupt},
		"Huge":        {func(r *v1alpha1.ContentReference) { r.Bytes = 1 << 40 }, revision.ErrTooLarge},
		"Gone":        {func(r *v1alpha1.ContentReference) { r.Secret = "none" }, revision.ErrLost},
	} {
		other := ref
		tc.change(&other)
		if _, err := s.Get(ctx, other); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	if _, err := s.Put(ctx, noise); !errors.Is(err, revision.ErrTooLarge) {
		t.Errorf("what doesn't fit is %v", err)
	}
}

// rev is a revision that is about to be saved.
func rev(module string, number int64) *v1alpha1.ModuleRevision {
	return &v1alpha1.ModuleRevision{
		ObjectMeta: metav1.ObjectMeta{Name: revision.Name(module, number)},
		Spec: v1alpha1.ModuleRevisionSpec{
			Module: module, Number: number, Version: "1.0.0", Namespace: "n", Reversible: true,
			Package: v1alpha1.ResolvedPackage{Name: "boats", URL: "oci://example.com/boats", Digest: revision.DigestOf(nil)},
		},
	}
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	s, _, env := newStore(t)
	ctx := t.Context()
	steps := revision.Split(some())
	before := []*unstructured.Unstructured{object("v1", "ConfigMap", "n", "theirs")}
	r := rev(env.Namespace, 1)
	if err := s.Save(ctx, r, steps, before, []byte(`{"module":"m"}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(ctx, rev(env.Namespace, 1), steps, before, []byte(`{"module":"m"}`)); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := s.Save(ctx, rev(env.Namespace, 1), steps[:1], nil, []byte("{}")); !errors.Is(err, revision.ErrTaken) {
		t.Errorf("another one of that name: %v", err)
	}
	got, err := s.Load(ctx, r.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steps, got.Steps); diff != "" {
		t.Errorf("steps (-saved +loaded):\n%s", diff)
	}
	if diff := cmp.Diff(before, got.Before); diff != "" {
		t.Errorf("before (-saved +loaded):\n%s", diff)
	}
	if got.Object.Spec.Digest != revision.Digest(steps) || got.Object.Spec.Steps[0].Objects != 1 {
		t.Errorf("the spec is %+v", got.Object.Spec)
	}
	if plan, err := s.Get(ctx, got.Object.Spec.Plan); err != nil || string(plan) != `{"module":"m"}` {
		t.Errorf("the plan is %s, %v", plan, err)
	}
}

// TestSaveLarge: objects that don't fit into one Secret go into several, in their order.
func TestSaveLarge(t *testing.T) {
	t.Parallel()
	s, _, env := newStore(t)
	var objects []*unstructured.Unstructured
	for i := range 6 {
		noise := make([]byte, 300<<10)
		for j := range noise {
			noise[j] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[rand.IntN(64)]
		}
		o := object("v1", "ConfigMap", "n", string(rune('a'+i)))
		o.Object["data"] = map[string]any{"noise": string(noise)}
		objects = append(objects, o)
	}
	steps := revision.Split(objects)
	r := rev(env.Namespace, 1)
	if err := s.Save(t.Context(), r, steps, nil, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Spec.Steps[0].Content); n < 2 {
		t.Errorf("%d contents: this test sees nothing", n)
	}
	got, err := s.Load(t.Context(), r.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steps, got.Steps); diff != "" {
		t.Error("the objects aren't what they were")
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	s, c, env := newStore(t)
	ctx := t.Context()
	states := []v1alpha1.RevisionState{
		v1alpha1.RevisionArchived, v1alpha1.RevisionRejected, v1alpha1.RevisionArchived, v1alpha1.RevisionCurrent, v1alpha1.RevisionCandidate, "",
	}
	for i, state := range states {
		r := rev(env.Namespace, int64(i+1))
		if err := s.Save(ctx, r, revision.Split(some()[i:]), nil, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		r.Status.State = state
		if err := c.Status().Update(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	collect := func(keep int, named ...string) {
		t.Helper()
		all, err := s.List(ctx, env.Namespace)
		if err == nil {
			err = s.Collect(ctx, all, keep, named...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	collect(2, revision.Name(env.Namespace, 4))
	if got := numbers(ctx, t, s, env.Namespace); !cmp.Equal(got, []int64{4, 3, 2}) {
		t.Errorf("left are %v: want the named one and two that are settled; one whose attempt never began is nobody's", got)
	}
	if _, err := s.Load(ctx, revision.Name(env.Namespace, 4)); err != nil {
		t.Errorf("what a revision names is gone: %v", err)
	}
	collect(0)
	if got := numbers(ctx, t, s, env.Namespace); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

func numbers(ctx context.Context, t *testing.T, s *revision.Store, module string) []int64 {
	t.Helper()
	all, err := s.List(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, r := range all {
		out = append(out, r.Spec.Number)
	}
	return out
}

// TestSweep: content that nobody names goes once it isn't young any more.
func TestSweep(t *testing.T) {
	t.Parallel()
	s, _, env := newStore(t)
	ctx := t.Context()
	named := rev(env.Namespace, 1)
	if err := s.Save(ctx, named, revision.Split(some()), nil, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	lost, err := s.Put(ctx, []byte("nobody's"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, lost); err != nil {
		t.Errorf("young content is gone, before anybody could name it: %v", err)
	}
	s.SetNow(func() time.Time { return time.Now().Add(2 * time.Hour) })
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, lost); !errors.Is(err, revision.ErrLost) {
		t.Errorf("what nobody names is still there: %v", err)
	}
	if _, err := s.Load(ctx, named.Name); err != nil {
		t.Errorf("what a revision names is gone: %v", err)
	}
}
