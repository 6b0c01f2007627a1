package labtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// madeOf is the annotation of definitions that says which file they were made of: the lab with a real node is left running, and may serve what
// was in the repository yesterday.
const madeOf = "labtest.slipway.dev/made-of"

// served is how long the API server may take from a definition to its kind.
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
