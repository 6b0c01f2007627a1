package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

const (
	commit   = "main@sha1:0123456789abcdef0123456789abcdef01234567"
	artifact = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// world is a cluster with our kinds in it, and a person who calls slipway there.
type world struct {
	*cluster
	env        *labtest.Env
	t          *testing.T
	kubeconfig string
	said       transcript // of all commands
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldIn(t, labtest.ControlPlane(t))
}

func worldIn(t *testing.T, env *labtest.Env) *world {
	t.Helper()
	c, err := newCluster(env.Config, env.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cluster: c, env: env, t: t, kubeconfig: env.WriteKubeconfig(t)}
	objs, err := deploy.Render(deploy.Options{Overlay: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []schema.GroupVersionKind
	for _, obj := range objs {
		if obj.GetKind() != crdKind {
			continue
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, crd); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Kind: crd.Spec.Names.Kind})
		if _, err := c.applyOwn(t.Context(), obj, false); err != nil {
			t.Fatal(err)
		}
		if err := c.waitEstablished(t.Context(), obj.GetName()); err != nil {
			t.Fatal(err)
		}
	}
	env.AwaitKinds(t, kinds...)
	return w
}

// answer is how a command ended.
type answer struct {
	code     int
	out, err string
}

// slipway runs a command line against the world's cluster.
func (w *world) slipway(args ...string) answer {
	w.t.Helper()
	return run(w.t, &w.said, append(args, "--kubeconfig", w.kubeconfig)...)
}

func slipway(t *testing.T, args ...string) answer {
	t.Helper()
	return run(t, io.Discard, args...)
}

// run runs a command line, and tells also what it says while it says it.
func run(t *testing.T, also io.Writer, args ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	streams := Streams{In: strings.NewReader(""), Out: io.MultiWriter(&out, also), Err: io.MultiWriter(&errs, also)}
	// The Cleanup of a test runs it too: the test's own context has ended by then.
	code := Run(context.WithoutCancel(t.Context()), streams, args)
	return answer{code, out.String(), errs.String()}
}

// want checks the exit code and that each of the texts is in what was printed, on whichever stream.
func (a answer) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", a.code, code, a.out, a.err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(a.out+a.err, text) {
			t.Errorf("nothing says %q\nstdout:\n%s\nstderr:\n%s", text, a.out, a.err)
		}
	}
	if strings.Contains(a.out+a.err, "\x1b[") {
		t.Error("colours although nobody sees them")
	}
}

// has makes objects, with the status that they have.
func (w *world) has(objs ...client.Object) {
	w.t.Helper()
	for _, obj := range objs {
		obj.SetNamespace(w.namespace)
		status := obj.DeepCopyObject().(client.Object)
		if err := w.Create(w.t.Context(), obj); err != nil {
			w.t.Fatal(err)
		}
		if _, ours := obj.(delivered); !ours {
			continue
		}
		status.SetResourceVersion(obj.GetResourceVersion())
		if err := w.Status().Update(w.t.Context(), status); err != nil {
			w.t.Fatal(err)
		}
		w.reload(obj)
	}
}

func (w *world) reload(obj client.Object) {
	w.t.Helper()
	if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatal(err)
	}
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 1,
		LastTransitionTime: metav1.NewTime(time.Now().Truncate(time.Second)),
	}
}

func source(name string) *sourcev1.GitRepository {
	return &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: sourcev1.GitRepositorySpec{
			URL: "https://user:hunter2@git.example.com/" + name, Interval: metav1.Duration{Duration: time.Minute},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
		Status: sourcev1.GitRepositoryStatus{
			ObservedGeneration: 1,
			Artifact: &meta.Artifact{
				Path: name, URL: "http://127.0.0.1:1/" + name, Revision: commit, Digest: artifact, LastUpdateTime: metav1.Now(),
			},
			Conditions: []metav1.Condition{
				condition(meta.ReadyCondition, metav1.ConditionTrue, "Succeeded", "stored artifact for revision '"+commit+"'"),
			},
		},
	}
}

func kustomization(name, from string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Minute}, Path: "./deploy", Prune: true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: from},
		},
		Status: kustomizev1.KustomizationStatus{
			ObservedGeneration: 1, LastAppliedRevision: commit,
			Conditions: []metav1.Condition{
				condition(meta.ReadyCondition, metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: "+commit),
			},
		},
	}
}

// answering plays the controller of one kind for the rest of the test: it writes the status that reply gives to every object with a
// request that isn't answered yet, in the steps that reply returns.
func (w *world) answering(k kind, reply func(delivered) []metav1.Condition) {
	w.t.Helper()
	w.controlling(k, func(ctx context.Context, obj delivered) {
		request, asked := meta.ReconcileAnnotationValue(obj.GetAnnotations())
		if !asked || request == k.handled(obj) {
			return
		}
		for _, step := range reply(obj) {
			step.ObservedGeneration = obj.GetGeneration()
			w.answer(ctx, obj, request, step)
		}
	})
}

// noticing plays a controller that answers each new spec, without a request.
func (w *world) noticing(k kind, reply func(delivered) metav1.Condition) {
	w.t.Helper()
	w.controlling(k, func(ctx context.Context, obj delivered) {
		if told := apimeta.FindStatusCondition(obj.GetConditions(), meta.ReadyCondition); told != nil && told.ObservedGeneration == obj.GetGeneration() {
			return
		}
		step := reply(obj)
		step.ObservedGeneration = obj.GetGeneration()
		w.answer(ctx, obj, "", step)
	})
}

// controlling calls seen with each state of each object of a kind, for the rest of the test.
func (w *world) controlling(k kind, seen func(context.Context, delivered)) {
	w.t.Helper()
	w.following(k.newList(), client.InNamespace(w.namespace), func(ctx context.Context, obj runtime.Object) {
		if obj, ok := obj.(delivered); ok {
			seen(ctx, obj)
		}
	})
}

// following calls seen with each state of each object that a list names, for the rest of the test.
func (w *world) following(list client.ObjectList, which client.ListOption, seen func(context.Context, runtime.Object)) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	watcher, err := w.Watch(ctx, list, which)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.t.Cleanup(func() { cancel(); watcher.Stop(); <-done })
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if event.Type != watch.Deleted {
				seen(ctx, event.Object)
			}
		}
	}()
}

func (w *world) answer(ctx context.Context, obj delivered, request string, conditions ...metav1.Condition) {
	before := obj.DeepCopyObject().(client.Object)
	switch o := obj.(type) {
	case *sourcev1.GitRepository:
		o.Status.LastHandledReconcileAt, o.Status.Conditions = request, conditions
	case *kustomizev1.Kustomization:
		o.Status.LastHandledReconcileAt, o.Status.Conditions = request, conditions
	}
	if err := w.Status().Patch(ctx, obj, client.MergeFrom(before)); err != nil && ctx.Err() == nil {
		w.t.Errorf("answer for %s: %v", obj.GetName(), err)
	}
}
