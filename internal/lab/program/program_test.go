package program_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/program"
)

// checkout makes a folder that looks like one of the product with a nested module "mod" whose program prints what.
func checkout(t *testing.T, what string) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, "go.mod", "module github.com/slipway-dev/slipway\n\ngo 1.26.0\n")
	write(t, root, "mod/go.mod", "module example.com/mod\n\ngo 1.26.0\n")
	write(t, root, "mod/main.go", "package main\n\nfunc main() { println(\""+what+"\") }\n")
	return root
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tool() program.Program { return program.Program{Name: "tool", Module: "mod", Package: "."} }

func newCache(t *testing.T, root, dir string, options ...program.Option) *program.Cache {
	t.Helper()
	cache, err := program.NewCache(append(options, program.WithCheckout(root), program.WithFolder(dir))...)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func path(t *testing.T, cache *program.Cache) string {
	t.Helper()
	p, err := cache.Path(tool())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuildsOnceAndKeeps(t *testing.T) {
	root, dir := checkout(t, "hello"), t.TempDir()
	var (
		mu     sync.Mutex
		builds int
	)
	count := program.WithProgress(func(p program.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Done {
			builds++
		}
	})
	var all sync.WaitGroup
	for range 4 { // as many commands at the same time
		all.Go(func() {
			if _, err := newCache(t, root, dir, count).Get(t.Context(), tool()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if builds != 1 {
		t.Errorf("built %d times, want once", builds)
	}
	built := path(t, newCache(t, root, dir))
	if out, err := exec.Command(built).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "hello" {
		t.Errorf("it said %q, %v", out, err)
	}
	entries, err := os.ReadDir(filepath.Dir(built))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v: want the executable alone", entries, err)
	}
}

func TestFolderNamesTheSources(t *testing.T) {
	root, dir := checkout(t, "hello"), t.TempDir()
	cache := newCache(t, root, dir)
	before := path(t, cache)
	for name, change := range map[string]struct {
		file, content string
		differs       bool
	}{
		"ATest":         {"mod/main_test.go", "package main\n", false},
		"AnotherModule": {"mod/nested/go.mod", "module example.com/nested\n", false},
		"ItsCode":       {"mod/nested/code.go", "package nested\n", false},
		"AnotherMain":   {"mod/second/main.go", "package main\n\nfunc main() {}\n", false},
		"Prose":         {"mod/README.md", "words\n", false},
		"Code":          {"mod/more.go", "package main\n", true},
		"APackage":      {"mod/pkg/pkg.go", "package pkg\n", true},
		"Dependencies":  {"mod/go.sum", "\n", true},
	} {
		write(t, root, change.file, change.content)
		if differs := path(t, cache) != before; differs != change.differs {
			t.Errorf("%s: another executable: %t, want %t", name, differs, change.differs)
		}
		if change.differs {
			if err := os.Remove(filepath.Join(root, change.file)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFailedBuildLeavesNothingAndSaysWhy(t *testing.T) {
	root, dir := checkout(t, "hello"), t.TempDir()
	write(t, root, "mod/broken.go", "package main\n\nvar x int = \"text\"\n")
	cache := newCache(t, root, dir)
	_, err := cache.Get(t.Context(), tool())
	if err == nil || !strings.Contains(err.Error(), "broken.go:3") {
		t.Errorf("got %v, want the compiler's words", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path(t, cache)))
	if err != nil || len(entries) != 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestVersionComesFromTheModule(t *testing.T) {
	root := checkout(t, "hello")
	write(t, root, "mod/go.mod", "module example.com/mod\n\ngo 1.26.0\n\nrequire example.com/dep v1.36.3\n")
	p := tool()
	p.Versioned = "example.com/dep"
	cache := newCache(t, root, t.TempDir())
	if version, err := cache.Version(p); err != nil || version != "v1.36.3" {
		t.Errorf("got %q, %v", version, err)
	}
	if kept, err := cache.Path(p); err != nil || !strings.Contains(kept, "/v1.36.3-") {
		t.Errorf("it is kept at %q, %v: want the version in the folder's name", kept, err)
	}
	p.Versioned = "example.com/other"
	if _, err := cache.Version(p); err == nil {
		t.Error("a dependency that isn't there has a version")
	}
}

func TestCheckout(t *testing.T) {
	root := checkout(t, "hello")
	if got, err := program.Checkout(filepath.Join(root, "mod")); err != nil || got != root {
		t.Errorf("from below: got %q, %v", got, err)
	}
	if _, err := program.Checkout(t.TempDir()); !errors.Is(err, program.ErrNoCheckout) {
		t.Errorf("from elsewhere: got %v", err)
	}
	t.Setenv("SLIPWAY_SOURCE", root)
	if got, err := program.Checkout(t.TempDir()); err != nil || got != root {
		t.Errorf("as told by the environment: got %q, %v", got, err)
	}
	t.Setenv("SLIPWAY_SOURCE", t.TempDir())
	if _, err := program.Checkout(root); !errors.Is(err, program.ErrNoCheckout) {
		t.Errorf("the environment names another folder: got %v", err)
	}
}
