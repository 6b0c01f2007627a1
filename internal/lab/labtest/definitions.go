package labtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// madeOf is the annotation of definitions that says which file they were made of: the lab with a real node is left running, and may serve what
// was in the repository yesterday.
const madeOf = "labtest.slipway.dev/made-of"

// served is how long the API server may take from what is written to what it does.
const served = time.Minute

// Define has the API server serve the kinds that the repository defines: those of the files in config/crd/bases whose names match one of the
// patterns, such as "slipway.dev_*.yaml" (path.Match says which there are), all without a pattern. What was defined before, of the same
// files, is left as it is, and costs one request. A pattern that matches nothing ends the test, and so does an API server that refuses.
func (e *Env) Define(t testing.TB, patterns ...string) {
	t.Helper()
	wanted := definitions(t, patterns)
	shared.defining.Lock()
	defer shared.defining.Unlock()
	var there metav1.PartialObjectMetadataList
	there.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinitionList"))
	if err := e.Client(t).List(t.Context(), &there); err != nil {
		t.Fatalf("list what is defined: %v", err)
	}
	missing := slices.DeleteFunc(wanted, func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return slices.ContainsFunc(there.Items, func(o metav1.PartialObjectMetadata) bool {
			return o.Name == crd.Name && o.DeletionTimestamp == nil && o.Annotations[madeOf] == crd.Annotations[madeOf]
		})
	})
	if len(missing) == 0 {
		return
	}
	opts := envtest.CRDInstallOptions{CRDs: missing, MaxTime: served, PollInterval: 20 * time.Millisecond}
	if _, err := envtest.InstallCRDs(e.Config, opts); err != nil {
		t.Fatalf("define kinds: %v", err)
	}
	var kinds []schema.GroupVersionKind
	for _, crd := range missing {
		for _, v := range crd.Spec.Versions {
			if v.Served {
				kinds = append(kinds, schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind})
			}
		}
	}
	e.AwaitKinds(t, kinds...)
}

// AwaitKinds waits until whoever asks the API server for all that it serves is told of these kinds too. It lists a kind a moment after it has
// established the definition, and after it names it to those who ask for the one group: what a client learnt before, it may keep for seconds.
func (e *Env) AwaitKinds(t testing.TB, kinds ...schema.GroupVersionKind) {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(e.Config)
	if err != nil {
		t.Fatalf("ask what is served: %v", err)
	}
	var missing []schema.GroupVersionKind
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, served, true, func(context.Context) (bool, error) {
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
			return false, err
		}
		missing = slices.DeleteFunc(slices.Clone(kinds), func(k schema.GroupVersionKind) bool {
			return slices.ContainsFunc(lists, func(l *metav1.APIResourceList) bool {
				return l.GroupVersion == k.GroupVersion().String() && slices.ContainsFunc(l.APIResources, func(r metav1.APIResource) bool { return r.Kind == k.Kind })
			})
		})
		return len(missing) == 0, nil
	})
	if err != nil {
		t.Fatalf("the API server doesn't list %v: %v", missing, err)
	}
}

// definitions are those of the repository whose files match.
func definitions(t testing.TB, patterns []string) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	if len(patterns) == 0 {
		patterns = []string{"*.yaml"}
	}
	var files []string
	for _, pattern := range patterns {
		matches, err := fs.Glob(config.FS, "crd/bases/"+pattern)
		if err != nil || len(matches) == 0 {
			t.Fatalf("no file in config/crd/bases matches %q: %v", pattern, err)
		}
		files = append(files, matches...)
	}
	slices.Sort(files)
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, file := range slices.Compact(files) {
		text, err := config.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			t.Fatalf("config/%s: %v", file, err)
		}
		digest := sha256.Sum256(text)
		metav1.SetMetaDataAnnotation(&crd.ObjectMeta, madeOf, path.Base(file)+"@"+hex.EncodeToString(digest[:]))
		all = append(all, crd)
	}
	return all
}
