package e2e_test

import (
	"testing"
	"time"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/await"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: shop/web:1.0.0
          env: [{name: COLOUR, value: red}]
`

// soon is how long a manual change may last: on a busy machine too, and far shorter than the interval, which is an hour. It takes milliseconds.
const soon = 20 * time.Second

func TestManualEditsArePutBack(t *testing.T) {
	spec := func(obj map[string]any) map[string]any { return obj["spec"].(map[string]any) }
	container := func(obj map[string]any) map[string]any {
		pod := spec(obj)["template"].(map[string]any)["spec"].(map[string]any)
		return pod["containers"].([]any)[0].(map[string]any)
	}
	edits := map[string]struct {
		reason string
		object string
		edit   func(obj map[string]any)
		want   await.Check
	}{
		"Scaled": {
			reason: "somebody scales a Deployment that Git has a size for", object: "deployment/web",
			edit: func(obj map[string]any) { spec(obj)["replicas"] = int64(5) },
			want: e2e.Field(1, "spec", "replicas"),
		},
		"Image": {
			reason: "somebody runs another image", object: "deployment/web",
			edit: func(obj map[string]any) { container(obj)["image"] = "shop/web:hacked" },
			want: e2e.Field([]any{map[string]any{
				"name": "web", "image": "shop/web:1.0.0", "imagePullPolicy": "IfNotPresent", "resources": map[string]any{},
				"env":                      []any{map[string]any{"name": "COLOUR", "value": "red"}},
				"terminationMessagePath":   "/dev/termination-log",
				"terminationMessagePolicy": "File",
			}}, "spec", "template", "spec", "containers"),
		},
		"Data": {
			reason: "somebody changes a ConfigMap's entry", object: "configmap/colour",
			edit: func(obj map[string]any) { obj["data"] = map[string]any{"is": "green"} },
			want: e2e.Data("is", "red"),
		},
		"Removed": {
			reason: "somebody removes a ConfigMap's entry", object: "configmap/colour",
			edit: func(obj map[string]any) { delete(obj, "data") },
			want: e2e.Data("is", "red"),
		},
		"Disowned": {
			reason: "somebody takes our labels off", object: "configmap/colour",
			edit: func(obj map[string]any) { delete(obj["metadata"].(map[string]any), "labels") },
			want: e2e.Label("kustomize.toolkit.fluxcd.io/name", "shop"),
		},
	}
	for name, tc := range edits {
		t.Run(name, func(t *testing.T) {
			g := e2e.Given(t)
			g.Repository("shop", e2e.Files{"web.yaml": deployment, "colour.yaml": configMap("colour", "is", "red")}).
				Kustomization("shop", inNamespace(g)).
				Then().
				Ready("kustomization/shop").
				When().
				Edit(tc.object, tc.edit).
				Then().
				Within(soon).
				Has(tc.object, tc.want)
			if t.Failed() {
				t.Log(tc.reason)
			}
		})
	}
}

func TestADeletedObjectComesBack(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Delete("configmap/colour").
		Then().
		Within(soon).
		Has("configmap/colour", e2e.Data("is", "red"))
}

func TestWhatAnotherControllerAddsIsLeftAlone(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		PatchAs("some-controller", "configmap/colour", `{"data":{"note":"mine"}}`).
		Patch("configmap/colour", `{"data":{"is":"green"}}`).
		Then().
		// The second edit was put back, so the first had its chance to be.
		Has("configmap/colour", e2e.Data("is", "red"), e2e.Data("note", "mine"))
}

func TestWhileSuspendedDriftStays(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a/a.yaml": configMap("a", "is", "red"), "b/b.yaml": configMap("b", "is", "red")}).
		Kustomization("a", inNamespace(g), e2e.Path("a")).
		Kustomization("b", inNamespace(g), e2e.Path("b")).
		Then().
		Ready("kustomization/a").
		Ready("kustomization/b").
		When().
		Suspend("kustomization/a").
		Patch("configmap/a", `{"data":{"is":"green"}}`).
		Patch("configmap/b", `{"data":{"is":"green"}}`).
		Then().
		Has("configmap/b", e2e.Data("is", "red")).
		Has("configmap/a", e2e.Data("is", "green")).
		When().
		Resume("kustomization/a").
		Then().
		Has("configmap/a", e2e.Data("is", "red"))
}
