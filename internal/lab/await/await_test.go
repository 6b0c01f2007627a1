package await_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/await"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestObject(t *testing.T) {
	env := labtest.ControlPlane(t)
	c, err := client.NewWithWatch(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := &unstructured.Unstructured{}
	key.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	key.SetNamespace(env.Namespace)
	key.SetName("it")
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "it"}, Data: map[string]string{"is": "red"}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	if err := await.Object(ctx, c, key, await.Gone); err != nil {
		t.Errorf("what isn't there yet: %v", err)
	}
	waiting := make(chan error)
	go func() { waiting <- await.Object(ctx, c, key, await.Field("red", "data", "is")) }()
	if err := c.Create(ctx, obj); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("what is made meanwhile: %v", err)
	}
	go func() { waiting <- await.Object(ctx, c, key, await.Field("blue", "data", "is")) }()
	obj.Data["is"] = "blue"
	if err := c.Update(ctx, obj); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("what is changed meanwhile: %v", err)
	}
	go func() { waiting <- await.Object(ctx, c, key, await.Gone) }()
	if err := c.Delete(ctx, obj); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("what is deleted meanwhile: %v", err)
	}

	short, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	err = await.Object(short, c, key, await.Field("green", "data", "is"))
	var unmet *await.UnmetError
	if !errors.As(err, &unmet) || unmet.Missing != "it isn't there" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what never comes: %v", err)
	}
}

func TestChecks(t *testing.T) {
	kustomization := func(observed int64, status, reason, message string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"kind":     "Kustomization",
			"metadata": map[string]any{"generation": int64(2)},
			"status": map[string]any{
				"observedGeneration": observed, "lastAppliedRevision": "main@sha1:1",
				"conditions": []any{map[string]any{"type": "Ready", "status": status, "reason": reason, "message": message}},
			},
		}}
	}
	deployment := func(observed, replicas, updated, ready int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"generation": int64(2)},
			"spec":     map[string]any{"replicas": int64(2)},
			"status": map[string]any{
				"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready,
			},
		}}
	}
	cases := map[string]struct {
		reason  string
		check   await.Check
		obj     *unstructured.Unstructured
		missing string // a part of it; empty: content
	}{
		"Ready":          {"true at the revision", await.Ready("main@sha1:1"), kustomization(2, "True", "Done", "ok"), ""},
		"AnyRevision":    {"any revision when none is asked for", await.Ready(""), kustomization(2, "True", "Done", "ok"), ""},
		"OtherRevision":  {"true at another revision isn't enough", await.Ready("main@sha1:2"), kustomization(2, "True", "Done", "ok"), "main@sha1:1"},
		"OldGeneration":  {"a verdict on an old spec is none", await.Ready(""), kustomization(1, "True", "Done", "ok"), "generation 2"},
		"NotReady":       {"false is said with its message", await.Ready(""), kustomization(2, "False", "BuildFailed", "line 3"), "line 3"},
		"NoCondition":    {"nothing said yet", await.Ready(""), &unstructured.Unstructured{Object: map[string]any{}}, "no Ready condition"},
		"Absent":         {"nothing there", await.Ready(""), nil, "isn't there"},
		"Failed":         {"false for the reason, with the words", await.Failed("BuildFailed", "line", "3"), kustomization(2, "False", "BuildFailed", "line 3"), ""},
		"OtherReason":    {"false for another reason", await.Failed("PruneFailed"), kustomization(2, "False", "BuildFailed", "line 3"), "BuildFailed"},
		"OtherWords":     {"false with other words", await.Failed("", "line 4"), kustomization(2, "False", "BuildFailed", "line 3"), "line 4"},
		"NotFailed":      {"true isn't false", await.Failed(""), kustomization(2, "True", "Done", "ok"), "Done"},
		"Available":      {"all new pods ready, no old ones left", await.Available, deployment(2, 2, 2, 2), ""},
		"RollingOut":     {"an old pod is left", await.Available, deployment(2, 3, 2, 3), "3 in all"},
		"NotReadyYet":    {"a pod isn't ready", await.Available, deployment(2, 2, 2, 1), "1 of 2"},
		"NotObserved":    {"the controller hasn't seen the spec", await.Available, deployment(1, 2, 2, 2), "observed"},
		"NothingDeploys": {"no Deployment", await.Available, nil, "isn't there"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.check(tc.obj)
			if (got == "") != (tc.missing == "") || !strings.Contains(got, tc.missing) {
				t.Errorf("%s: the check says %q, want %q in it", tc.reason, got, tc.missing)
			}
		})
	}
}
