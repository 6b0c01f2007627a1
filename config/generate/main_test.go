package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestCheckedInManifestsAreCurrent(t *testing.T) {
	out := t.TempDir()
	if err := generate(t.Context(), "..", filepath.Join(out, "config")); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(out, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		name, err := filepath.Rel(out, path)
		if err != nil {
			return err
		}
		generated, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checkedIn, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			return err
		}
		if diff := cmp.Diff(string(generated), string(checkedIn)); diff != "" {
			t.Errorf("%s isn't what is generated; run 'make generate' (-generated +checked in):\n%s", name, diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(served()) + 2; files != want { // the roles and the copies
		t.Errorf("generated %d files, want %d", files, want)
	}
}

// TestOnlyWhatIsServedIsInstalled: deploy/ takes config/crd as it is. A kind that nobody reconciles isn't in it.
func TestOnlyWhatIsServedIsInstalled(t *testing.T) {
	data, err := os.ReadFile("../crd/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root struct{ Resources []string }
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range served() {
		want = append(want, "bases/"+name)
	}
	if diff := cmp.Diff(want, root.Resources); diff != "" {
		t.Errorf("config/crd/kustomization.yaml installs something else than is served (-served +installed):\n%s", diff)
	}
	kept, err := filepath.Glob("../crd/bases/*")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(served()); len(kept) != want {
		t.Errorf("config/crd/bases has %d files, want %d: %s", len(kept), want, kept)
	}
}
