package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// FuzzBuild feeds arbitrary bytes as a kustomization, a manifest and a variable. It
// must never crash or hang, must give an *Error when it fails, and must not show the
// variable's value in it.
func FuzzBuild(f *testing.F) {
	manifest := readFile(f, corpus+"/overlays/base/deployment.yaml")
	for _, name := range []string{"overlays", "components", "diamond", "configurations"} {
		err := fs.WalkDir(os.DirFS(path.Join(corpus, name)), ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content := readFile(f, path.Join(corpus, name, p))
			f.Add([]byte(content), []byte(manifest), "value")
			f.Add([]byte("resources: [a.yaml]\n"), []byte(content), "value")
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add([]byte("resources: [a.yaml]\n"), []byte(configMap("${v}")+aliasBomb()), "v: [")
	f.Add([]byte("resources: [b]\n"), []byte("kind: List\napiVersion: v1\nitems: [1]\n"), "${v}")
	f.Add([]byte("resources: [a.yaml]\nconfigMapGenerator: [{name: a, behavior: merge, literals: [a=b]}]\n"),
		[]byte(configMap("a")+"data: [1]\n"), "x")
	builder := New(WithLimits(Limits{FileBytes: 1 << 16, InputBytes: 1 << 20, Kustomizations: 50, YAMLNodes: 10_000}))
	f.Fuzz(func(t *testing.T, kustomization, content []byte, value string) {
		value = "s3cr3t" + value
		files := tree(map[string]string{
			"kustomization.yaml":       string(kustomization),
			"a.yaml":                   string(content),
			"base/kustomization.yaml":  "resources: [../c.yaml]\n",
			"c.yaml":                   configMap("c") + "data: {x: '${v}'}\n",
			"parts/kustomization.yaml": "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamePrefix: p\n",
		})
		got, err := builder.Build(context.Background(), Input{Tree: files, Vars: map[string]string{"v": value}})
		if err == nil {
			if !got.Reads.Same(files) {
				t.Error("a tree must be the same as itself")
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("not an *Error: %T %v", err, err)
		}
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error shows a value: %v", err)
		}
	})
}
