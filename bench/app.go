package main

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// appFiles are the manifests of the application that is delivered many times: a ServiceAccount, a Service, a Deployment without
// replicas and an Ingress, as in fluxcd/flux-benchmark.
//
//go:embed app/*.yaml
var appFiles embed.FS

const (
	fluxNamespace = "flux-system" // of sources and Kustomizations
	appNamespace  = "apps"        // of what they deliver
)

func manifests() map[string]string {
	out := map[string]string{}
	for _, name := range must(fs.Glob(appFiles, "app/*.yaml")) {
		out[strings.TrimPrefix(name, "app/")] = string(must(appFiles.ReadFile(name)))
	}
	return out
}

// must is for what is compiled in.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func suffix(i int) string  { return fmt.Sprintf("-%04d", i) }
func appName(i int) string { return "app" + suffix(i) }

// objects are the application's as the engines apply them.
func objects(i int) []*unstructured.Unstructured {
	files := manifests()
	var out []*unstructured.Unstructured
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range files {
			if !yield(name) {
				return
			}
		}
	}) {
		text := strings.NewReplacer("name: web\n", "name: web"+suffix(i)+"\n", "serviceAccountName: web\n", "serviceAccountName: web"+suffix(i)+"\n").Replace(files[name])
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
			panic(err)
		}
		obj.SetNamespace(appNamespace)
		obj.SetName("web" + suffix(i))
		out = append(out, obj)
	}
	return out
}

// kustomization delivers application i from a source.
func kustomization(i int, ref kustomizev1.CrossNamespaceSourceReference, path string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: appName(i), Namespace: fluxNamespace},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: interval}, Timeout: &metav1.Duration{Duration: 5 * time.Minute},
			SourceRef: ref, Path: path, Prune: true, Wait: true,
			TargetNamespace: appNamespace, NameSuffix: suffix(i),
		},
	}
}

// interval is when everything is due again: as in Flux's benchmark.
const interval = 10 * time.Minute

// pair is an application's own source and its Kustomization.
func (a *arena) pair(i int) []client.Object {
	var source client.Object
	var ref kustomizev1.CrossNamespaceSourceReference
	if a.git {
		source = a.gitRepository(appName(i), a.appRepo.URL())
		ref = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: appName(i)}
	} else {
		source = &sourcev1.OCIRepository{
			ObjectMeta: metav1.ObjectMeta{Name: appName(i), Namespace: fluxNamespace},
			Spec: sourcev1.OCIRepositorySpec{
				URL: "oci://" + a.registry + "/app", Reference: &sourcev1.OCIRepositoryRef{Tag: "latest"},
				Interval: metav1.Duration{Duration: interval}, Insecure: true, Provider: "generic",
			},
		}
		ref = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.OCIRepositoryKind, Name: appName(i)}
	}
	return []client.Object{source, kustomization(i, ref, "./")}
}

func (a *arena) gitRepository(name, url string) *sourcev1.GitRepository {
	return &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: fluxNamespace},
		Spec: sourcev1.GitRepositorySpec{
			URL: url, Reference: &sourcev1.GitRepositoryRef{Branch: "main"}, Interval: metav1.Duration{Duration: interval}, Timeout: &metav1.Duration{Duration: time.Minute},
		},
	}
}

// suspend makes objects that no engine acts on.
func suspend(objs []client.Object) []client.Object {
	for _, obj := range objs {
		switch o := obj.(type) {
		case *sourcev1.OCIRepository:
			o.Spec.Suspend = true
		case *sourcev1.GitRepository:
			o.Spec.Suspend = true
		case *kustomizev1.Kustomization:
			o.Spec.Suspend = true
		}
	}
	return objs
}
