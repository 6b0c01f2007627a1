package apply_test

import (
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

func ignoring(t *testing.T, kind string, paths ...string) func(*apply.Options) {
	t.Helper()
	ignore, err := apply.CompileIgnore([]kustomizev1.IgnoreRule{{Paths: paths, Target: &kustomize.Selector{Kind: kind}}})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *apply.Options) { o.Ignore = ignore }
}

func replicas(obj *unstructured.Unstructured) int64 {
	n, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	return n
}

// fieldsOf is what a field manager owns of an object, as text.
func fieldsOf(obj *unstructured.Unstructured, manager string, operation metav1.ManagedFieldsOperationType) string {
	for _, e := range obj.GetManagedFields() {
		if e.Manager == manager && e.Operation == operation && e.FieldsV1 != nil {
			return string(e.FieldsV1.GetRawString())
		}
	}
	return ""
}

func TestIgnoredFieldIsLeftToOthers(t *testing.T) {
	const ours = apply.DefaultManager
	for name, tc := range map[string]struct {
		reason string
		// others write before the source changes.
		others func(w *world, ref kube.Ref)
		want   int64
		// keeps: the field stays ours, as nobody else has written it.
		keeps bool
	}{
		"nobody": {
			reason: "a field that only we own is not dropped: it would become one replica", want: 3, keeps: true,
			others: func(*world, kube.Ref) {},
		},
		"autoscaler": {
			reason: "what an autoscaler wrote is its own", want: 7,
			others: func(w *world, ref kube.Ref) {
				w.someoneElse(ref, "autoscaler", mergePatch, `{"spec":{"replicas":7}}`, "scale")
			},
		},
		"apply": {
			reason: "what another applier shares with us becomes its own", want: 3,
			others: func(w *world, ref kube.Ref) {
				w.someoneElse(ref, "other", ssaPatch, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":3}}`)
			},
		},
		"kubectl": {
			reason: "the value that a person set with kubectl stays, although kubectl's ownership is taken over", want: 5, keeps: true,
			others: func(w *world, ref kube.Ref) {
				w.someoneElse(ref, "kubectl-edit", mergePatch, `{"spec":{"replicas":5}}`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ignore := ignoring(t, "Deployment", "/spec/replicas")
			web := w.deployment("web", "web:1")
			_ = unstructured.SetNestedField(web.Object, int64(3), "spec", "replicas")
			ref := kube.RefOf(web)
			w.mustApply(objectsOf(web), ignore)
			if got := replicas(w.get(ref)); got != 3 {
				t.Fatalf("a new object has %d replicas, want those of the source", got)
			}
			tc.others(w, ref)
			changed := web.DeepCopy()
			_ = unstructured.SetNestedField(changed.Object, int64(9), "spec", "replicas")
			containers, _, _ := unstructured.NestedSlice(changed.Object, "spec", "template", "spec", "containers")
			containers[0].(map[string]any)["image"] = "web:2"
			_ = unstructured.SetNestedSlice(changed.Object, containers, "spec", "template", "spec", "containers")
			w.mustApply(objectsOf(changed), ignore)

			live := w.get(ref)
			if got := replicas(live); got != tc.want {
				t.Errorf("%s: %d replicas, want %d", tc.reason, got, tc.want)
			}
			if owns := strings.Contains(fieldsOf(live, ours, metav1.ManagedFieldsOperationApply), "f:replicas"); owns != tc.keeps {
				t.Errorf("%s: we own it: %v, want %v", tc.reason, owns, tc.keeps)
			}
			if !strings.Contains(image(live), "web:2") {
				t.Error("the rest of the object must follow the source")
			}
			if _, requests := w.mustApply(objectsOf(changed), ignore); len(requests) > 0 {
				t.Errorf("nothing changed, and yet: %v", requests)
			}
			only := changed.DeepCopy()
			_ = unstructured.SetNestedField(only.Object, int64(11), "spec", "replicas")
			if _, requests := w.mustApply(objectsOf(only), ignore); len(requests) > 0 {
				t.Errorf("only an ignored field changed in the source, and yet: %v", requests)
			}
		})
	}
}

func image(obj *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	text, _ := containers[0].(map[string]any)["image"].(string)
	return text
}

// TestIgnoredFieldIsNoContest changes an ignored field again and again: none of it is put back, and only the first, which takes the field
// from us, costs a look at the object.
func TestIgnoredFieldIsNoContest(t *testing.T) {
	w := newWorld(t)
	ignore := ignoring(t, "Deployment", "/spec/replicas", "/spec/template/spec/containers/0/resources")
	web := w.deployment("web", "web:1")
	ref := kube.RefOf(web)
	w.mustApply(objectsOf(web), ignore)
	for n := range 3 {
		version := w.get(ref).GetResourceVersion()
		w.someoneElse(ref, "autoscaler", strategic, strings.ReplaceAll(
			`{"spec":{"replicas":N0,"template":{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"N00m"}}}]}}}}`, "N", string(rune('2'+n))))
		seen := func() bool { s, _, _ := w.pool.Get(ref); return s.ResourceVersion != version }
		w.eventually("the watch sees the change", seen)
		if n > 0 && w.engine.Drifted(w.owner, ref) {
			t.Error("what is not ours any more can't drift")
		}
		got, requests := w.mustApply(objectsOf(web), ignore)
		if got["Deployment/web"] != apply.Unchanged {
			t.Errorf("round %d: %v, want nothing: %v", n, got, requests)
		}
		if n > 0 && len(requests) > 0 {
			t.Errorf("round %d costs %v", n, requests)
		}
	}
	if got := replicas(w.get(ref)); got != 40 {
		t.Errorf("%d replicas: the autoscaler wrote 40", got)
	}
}

// TestIgnoredFieldOfAnObjectThatIsThere takes over an object that nobody has labelled.
func TestIgnoredFieldOfAnObjectThatIsThere(t *testing.T) {
	w := newWorld(t)
	cm := w.configMap("a", map[string]any{"mine": "1", "theirs": "source"})
	there := w.configMap("a", map[string]any{"theirs": "cluster"})
	if _, err := w.admin().Namespace(w.env.Namespace).Create(t.Context(), there, metav1.CreateOptions{FieldManager: "operator"}); err != nil {
		t.Fatal(err)
	}
	w.mustApply(objectsOf(cm), ignoring(t, "ConfigMap", "/data/theirs"))
	data, _, _ := unstructured.NestedStringMap(w.get(kube.RefOf(cm)).Object, "data")
	if data["theirs"] != "cluster" || data["mine"] != "1" {
		t.Errorf("data is %v: an ignored field of an object that exists is not ours to set", data)
	}
	w.mustApply(objectsOf(cm)) // without the rule
	data, _, _ = unstructured.NestedStringMap(w.get(kube.RefOf(cm)).Object, "data")
	if data["theirs"] != "source" {
		t.Errorf("data is %v: without the rule the source decides", data)
	}
}

// TestIgnoredFieldThatLeftTheSource keeps what is in the cluster: who hands a field to an autoscaler takes it out of the source.
func TestIgnoredFieldThatLeftTheSource(t *testing.T) {
	w := newWorld(t)
	web := w.deployment("web", "web:1")
	_ = unstructured.SetNestedField(web.Object, int64(4), "spec", "replicas")
	w.mustApply(objectsOf(web))
	without := web.DeepCopy()
	unstructured.RemoveNestedField(without.Object, "spec", "replicas")
	w.mustApply(objectsOf(without), ignoring(t, "Deployment", "/spec/replicas"))
	if got := replicas(w.get(kube.RefOf(web))); got != 4 {
		t.Errorf("%d replicas, want 4: they must not fall to the default", got)
	}
}

func TestIgnoreRulesThatNobodyCanRead(t *testing.T) {
	for name, tc := range map[string]struct {
		rule kustomizev1.IgnoreRule
		says string
	}{
		"no pointer": {kustomizev1.IgnoreRule{Paths: []string{"spec.replicas"}}, "JSON pointer"},
		"all":        {kustomizev1.IgnoreRule{Paths: []string{"/"}}, "JSON pointer"},
		"name":       {kustomizev1.IgnoreRule{Paths: []string{"/metadata/name"}}, "known by"},
		"labels":     {kustomizev1.IgnoreRule{Paths: []string{"/metadata/labels"}}, "known by"},
		"owner":      {kustomizev1.IgnoreRule{Paths: []string{"/metadata/labels/kustomize.toolkit.fluxcd.io~1name"}}, "known by"},
		"kind":       {kustomizev1.IgnoreRule{Paths: []string{"/spec/x"}, Target: &kustomize.Selector{Kind: "("}}, "target.kind"},
		"labels sel": {kustomizev1.IgnoreRule{Paths: []string{"/spec/x"}, Target: &kustomize.Selector{LabelSelector: "a in"}}, "labelSelector"},
		"many paths": {kustomizev1.IgnoreRule{Paths: slices.Repeat([]string{"/spec/x"}, 101)}, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apply.CompileIgnore([]kustomizev1.IgnoreRule{{Paths: []string{"/spec/x"}}, tc.rule})
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "spec.ignore[1]") {
				t.Errorf("the error must name the rule and say %q: %v", tc.says, err)
			}
		})
	}
}

func TestIgnoreRuleChoosesItsObjects(t *testing.T) {
	w := newWorld(t)
	labelled := w.configMap("labelled", map[string]any{"v": "1"})
	labelled.SetLabels(map[string]string{"tune": "yes"})
	plain := w.configMap("plain", map[string]any{"v": "1"})
	ignore, err := apply.CompileIgnore([]kustomizev1.IgnoreRule{{Paths: []string{"/data/v"}, Target: &kustomize.Selector{
		Kind: "Config.*", Version: "v1", LabelSelector: "tune=yes",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(o *apply.Options) { o.Ignore = ignore }
	w.mustApply(objectsOf(labelled, plain), with)
	for _, name := range []string{"labelled", "plain"} {
		w.someoneElse(kube.RefOf(w.configMap(name, nil)), "person", mergePatch, `{"data":{"v":"2"}}`)
	}
	w.eventually("the watch sees that plain changed", func() bool { return w.engine.Drifted(w.owner, kube.RefOf(plain)) })
	w.mustApply(objectsOf(labelled, plain), with)
	for name, want := range map[string]string{"labelled": "2", "plain": "1"} {
		data, _, _ := unstructured.NestedStringMap(w.get(kube.RefOf(w.configMap(name, nil))).Object, "data")
		if data["v"] != want {
			t.Errorf("%s has %q, want %q", name, data["v"], want)
		}
	}
}

// FuzzCompileIgnore reads any rule: it ends without a panic, and names the rule when it refuses it.
func FuzzCompileIgnore(f *testing.F) {
	for _, seed := range []struct{ path, kind, labels string }{
		{"/spec/replicas", "Deployment", "app=a"},
		{"/metadata/annotations/a~1b", ".*", "a in (b, c)"},
		{"", "", ""},
		{"/a/~2", "(", "=="},
		{"/spec/containers/0/image", "D{9999}", "!a"},
		{"/", "(a*)*b", strings.Repeat("a=b,", 100)},
	} {
		f.Add(seed.path, seed.kind, seed.labels)
	}
	f.Fuzz(func(t *testing.T, path, kind, labels string) {
		rules := []kustomizev1.IgnoreRule{{Paths: []string{path}, Target: &kustomize.Selector{Kind: kind, LabelSelector: labels}}}
		_, err := apply.CompileIgnore(rules)
		if err != nil && !strings.Contains(err.Error(), "spec.ignore[0]") {
			t.Errorf("which rule? %v", err)
		}
	})
}
