package attempt

import (
	"bytes"
	"strings"
	"text/template"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// names are what makes the objects of one world others than those of another.
type names struct{ namespace, unique string }

func (n names) group() string { return n.unique + ".example.com" }

// boats is the package of the tests, in a version: a definition, roles, settings, a controller, a webhook.
type boats struct {
	// Versions of the kind that are served; the last one stores.
	Versions []string
	// Verbs that the controller's role allows.
	Verbs []string
	// Maps are the ConfigMaps.
	Maps []string
	// Image of the controller.
	Image string
	// Webhook is whether there is one.
	Webhook bool
}

// The versions of the package.
var (
	first   = boats{Versions: []string{"v1"}, Verbs: []string{"get", "list", "delete"}, Maps: []string{"settings", "old"}, Image: "boats:1", Webhook: true}
	second  = boats{Versions: []string{"v1", "v2"}, Verbs: []string{"get", "list", "watch"}, Maps: []string{"settings", "extra"}, Image: "boats:2", Webhook: true}
	bad     = boats{Versions: []string{"v1", "v2"}, Verbs: []string{"get", "list", "watch"}, Maps: []string{"settings", "extra"}, Image: "boats:2-" + broken, Webhook: true}
	laggard = boats{Versions: []string{"v1"}, Verbs: []string{"get"}, Maps: []string{"settings"}, Image: "boats:2-" + slow}
)

const manifests = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.{{.Group}}}
spec:
  group: {{.Group}}
  scope: Namespaced
  names: {kind: Boat, listKind: BoatList, plural: boats, singular: boat}
  versions:
{{- range $i, $v := .Versions}}
  - name: {{$v}}
    served: true
    storage: {{eq $v $.Storage}}
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {hull: {type: string}}}}}}
{{- end}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: boats, namespace: {{.Namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{.Unique}}}
rules:
- {apiGroups: ["{{.Group}}"], resources: [boats], verbs: [{{join .Verbs ", "}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{.Unique}}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{.Unique}}}
subjects:
- {kind: ServiceAccount, name: boats, namespace: {{.Namespace}}}
{{- range .Maps}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{.}}, namespace: {{$.Namespace}}}
data: {image: "{{$.Image}}"}
{{- end}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: boats, namespace: {{.Namespace}}}
spec:
  selector: {matchLabels: {app: boats}}
  template:
    metadata: {labels: {app: boats}}
    spec:
      serviceAccountName: boats
      containers:
      - {name: boats, image: "{{.Image}}"}
{{- if .Webhook}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: {{.Unique}}}
webhooks:
- name: ships.{{.Group}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: boats, namespace: {{.Namespace}}}}
  rules:
  - {apiGroups: ["nobody.{{.Group}}"], apiVersions: ["*"], operations: [CREATE], resources: ["*"]}
{{- end}}
`

// of renders the package.
func (b boats) of(n names) []*unstructured.Unstructured {
	text := &bytes.Buffer{}
	t := template.Must(template.New("").Funcs(template.FuncMap{"join": strings.Join}).Parse(manifests))
	err := t.Execute(text, struct {
		boats
		Namespace, Unique, Group, Storage string
	}{b, n.namespace, n.unique, n.group(), b.Versions[len(b.Versions)-1]})
	if err != nil {
		panic(err)
	}
	var out []*unstructured.Unstructured
	for _, document := range strings.Split(text.String(), "\n---\n") {
		o := &unstructured.Unstructured{}
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err == nil {
			err = o.UnmarshalJSON(raw)
		}
		if err != nil {
			panic(err.Error() + "\n" + document)
		}
		out = append(out, o)
	}
	return out
}

// offer makes a version of the package available.
func (w *world) offer(version string, b boats) {
	w.pack.set(func(p *packages) { p.versions[version] = b.of })
}

var (
	boatKind       = "Boat"
	definitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	roleKind       = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}
	hookKind       = schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"}
	mapKind        = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	deploymentKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
)

// get reads an object, nil if there is none.
func (w *world) get(gvk schema.GroupVersionKind, name string) *unstructured.Unstructured {
	w.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	key := client.ObjectKey{Name: name}
	if gvk == mapKind || gvk == deploymentKind || gvk.Kind == boatKind {
		key.Namespace = w.env.Namespace
	}
	err := w.client.Get(w.Context(), key, o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// launch makes a boat: what people have made of the package's kind, which mustn't be lost.
func (w *world) launch(name string, finalizers ...string) {
	w.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"hull": "steel"}}}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: w.names.group(), Version: "v1", Kind: boatKind})
	o.SetNamespace(w.env.Namespace)
	o.SetName(name)
	o.SetFinalizers(finalizers)
	w.eventually("a boat can be launched", func() bool { return w.client.Create(w.Context(), o.DeepCopy()) == nil })
}

// afloat fails unless a boat is as it was made.
func (w *world) afloat(name string) {
	w.Helper()
	var o *unstructured.Unstructured
	w.eventually("the boat is there", func() bool {
		o = &unstructured.Unstructured{}
		o.SetGroupVersionKind(schema.GroupVersionKind{Group: w.names.group(), Version: "v1", Kind: boatKind})
		return w.client.Get(w.Context(), client.ObjectKey{Namespace: w.env.Namespace, Name: name}, o) == nil
	})
	if hull, _, _ := unstructured.NestedString(o.Object, "spec", "hull"); hull != "steel" {
		w.Errorf("the boat has lost its hull: %v", o.Object)
	}
}

// is fails unless the cluster is exactly as a version of the package says.
func (w *world) is(b boats) {
	w.Helper()
	if d := w.get(deploymentKind, "boats"); d == nil || imageOf(d) != b.Image {
		w.Errorf("the controller isn't %s: %v", b.Image, imageOf(d))
	}
	for _, name := range []string{"settings", "old", "extra"} {
		o, want := w.get(mapKind, name), contains2(b.Maps, name)
		if (o != nil) != want {
			w.Errorf("ConfigMap %s: there %v, want %v", name, o != nil, want)
		}
		if o != nil && want {
			if image, _, _ := unstructured.NestedString(o.Object, "data", "image"); image != b.Image {
				w.Errorf("ConfigMap %s is for %s, want %s", name, image, b.Image)
			}
		}
	}
	if got, want := w.verbs(), strings.Join(b.Verbs, " "); got != want {
		w.Errorf("the role allows %q, want %q", got, want)
	}
	if got, want := w.served(), strings.Join(b.Versions, " ")+" stored in "+b.Versions[len(b.Versions)-1]; got != want {
		w.Errorf("the definition is %q, want %q", got, want)
	}
	if got := w.get(hookKind, w.names.unique) != nil; got != b.Webhook {
		w.Errorf("the webhook is there: %v, want %v", got, b.Webhook)
	}
}

func contains2(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

func imageOf(d *unstructured.Unstructured) string {
	if d == nil {
		return ""
	}
	containers, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
	for _, c := range containers {
		if fields, ok := c.(map[string]any); ok {
			image, _ := fields["image"].(string)
			return image
		}
	}
	return ""
}

// verbs are what the controller's role allows.
func (w *world) verbs() string {
	w.Helper()
	role := w.get(roleKind, w.names.unique)
	if role == nil {
		return ""
	}
	rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
	var all []string
	for _, r := range rules {
		verbs, _, _ := unstructured.NestedStringSlice(r.(map[string]any), "verbs")
		all = append(all, verbs...)
	}
	return strings.Join(all, " ")
}

// served says which versions of the kind are served, and where objects may be stored.
func (w *world) served() string {
	w.Helper()
	d := w.get(definitionKind, "boats."+w.names.group())
	if d == nil {
		return ""
	}
	versions, _, _ := unstructured.NestedSlice(d.Object, "spec", "versions")
	var served []string
	for _, v := range versions {
		served = append(served, v.(map[string]any)["name"].(string))
	}
	stored, _, _ := unstructured.NestedStringSlice(d.Object, "status", "storedVersions")
	return strings.Join(served, " ") + " stored in " + strings.Join(stored, " ")
}

// empty fails unless nothing of the package is left but its definition.
func (w *world) empty(definition bool) {
	w.Helper()
	for what, o := range map[string]*unstructured.Unstructured{
		"the controller": w.get(deploymentKind, "boats"), "the settings": w.get(mapKind, "settings"), "old": w.get(mapKind, "old"), "extra": w.get(mapKind, "extra"),
		"the role": w.get(roleKind, w.names.unique), "the webhook": w.get(hookKind, w.names.unique),
	} {
		if o != nil {
			w.Errorf("%s is left", what)
		}
	}
	if definition {
		if w.get(definitionKind, "boats."+w.names.group()) == nil {
			w.Error("the definition is gone")
		}
		return
	}
	var left *unstructured.Unstructured
	defer func() {
		if w.Failed() && left != nil {
			w.Logf("left is %v", left.Object)
		}
	}()
	w.eventually("the definition goes", func() bool { // when the API server is done with its objects
		left = w.get(definitionKind, "boats."+w.names.group())
		return left == nil || left.GetDeletionTimestamp() != nil
	})
}
