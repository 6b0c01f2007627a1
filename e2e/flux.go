package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fluxCLI is the stock flux command, which tools/upstream builds once per
// machine.
type fluxCLI struct {
	once sync.Once
	path string
	err  error
}

func (f *fluxCLI) find() (string, error) {
	f.once.Do(func() {
		top, err := root()
		if err != nil {
			f.err = err
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(ctx, "go", "run", "./upstream", "flux")
		cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join(top, "tools"), &out, &errs
		if err := cmd.Run(); err != nil {
			f.err = fmt.Errorf("build the flux CLI: %w\n%s", err, errs.String())
			return
		}
		f.path = strings.TrimSpace(out.String())
	})
	return f.path, f.err
}

// Flux runs the stock flux command in the story's namespace. It must succeed;
// what it prints is there for Then().Prints.
func (w *Whens) Flux(args ...string) *Whens {
	w.T.Helper()
	if err := w.runFlux(args); err != nil {
		w.T.Fatalf("flux %s: %v\n%s", strings.Join(args, " "), err, w.printed)
	}
	return w.done()
}

// FluxFails runs the stock flux command, and it must fail: because it says so
// itself, not because it was stopped.
func (w *Whens) FluxFails(args ...string) *Whens {
	w.T.Helper()
	var exit *exec.ExitError
	if err := w.runFlux(args); !errors.As(err, &exit) || !exit.Exited() {
		w.T.Fatalf("flux %s: want that it fails, got %v\n%s", strings.Join(args, " "), err, w.printed)
	}
	return w.done()
}

func (w *Whens) runFlux(args []string) error {
	w.T.Helper()
	path, err := shared.flux.find()
	if err != nil {
		w.T.Fatal(err)
	}
	return w.run(path, args)
}

// Slipway runs our own command in the story's namespace, as Flux does the
// other one.
func (w *Whens) Slipway(args ...string) *Whens {
	w.T.Helper()
	if err := w.run(w.Agent.spec.Program, args); err != nil {
		w.T.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, w.printed)
	}
	return w.done()
}

func (w *Whens) run(path string, args []string) error {
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	args = append(slices.Clone(args), "--kubeconfig", w.Env.Kubeconfig)
	if !slices.Contains(args, "--namespace") {
		args = append(args, "--namespace", w.Namespace)
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	w.printed = string(out)
	return err
}

// FluxCommands lists the commands of the stock flux CLI that do something
// themselves, such as "create source git".
func FluxCommands(t *testing.T) []string {
	t.Helper()
	path, err := shared.flux.find()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), path, "docgen", "--path", dir).CombinedOutput(); err != nil {
		t.Fatalf("flux docgen: %v\n%s", err, out)
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string // as in flux_create_source_git.md
	for _, page := range pages {
		all = append(all, strings.TrimSuffix(page.Name(), ".md"))
	}
	var found []string
	for _, name := range all {
		holdsOthers := slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, name+"_") })
		if words, ok := strings.CutPrefix(name, "flux_"); ok && !holdsOthers {
			found = append(found, strings.ReplaceAll(words, "_", " "))
		}
	}
	return found
}

// Folder writes files into a folder of the test's own.
func (s *Story) Folder(files Files) string {
	s.T.Helper()
	dir := s.T.TempDir()
	for path, content := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.T.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.T.Fatal(err)
		}
	}
	return dir
}

// Prints checks what the latest command printed.
func (th *Thens) Prints(words ...string) *Thens {
	th.T.Helper()
	for _, word := range words {
		if !strings.Contains(th.printed, word) {
			th.T.Fatalf("no %q in:\n%s", word, th.printed)
		}
	}
	return th
}

// PrintsNot checks what the latest command did not print.
func (th *Thens) PrintsNot(words ...string) *Thens {
	th.T.Helper()
	for _, word := range words {
		if strings.Contains(th.printed, word) {
			th.T.Fatalf("%q is in:\n%s", word, th.printed)
		}
	}
	return th
}

// Printed is what the latest command printed.
func (s *Story) Printed() string { return s.printed }
