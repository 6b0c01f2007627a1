package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckedInManifestsAreCurrent(t *testing.T) {
	out := t.TempDir()
	if err := generate(t.Context(), "..", out); err != nil {
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
		checkedIn, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			return err
		}
		if diff := cmp.Diff(string(generated), string(checkedIn)); diff != "" {
			t.Errorf("config/%s isn't what is generated; run 'make generate' (-generated +checked in):\n%s", name, diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(served()) + 1; files != want {
		t.Errorf("generated %d files, want %d", files, want)
	}
}
