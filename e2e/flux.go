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
		w.T.Fatalf("flux %s: %v\n%s", strings.Join(args, " "), err, w.flux)
	}
	return w.done()
}

// FluxFails runs the stock flux command, and it must fail: because it says so
// itself, not because it was stopped.
func (w *Whens) FluxFails(args ...string) *Whens {
	w.T.Helper()
	var exit *exec.ExitError
	if err := w.runFlux(args); !errors.As(err, &exit) || !exit.Exited() {
		w.T.Fatalf("flux %s: want that it fails, got %v\n%s", strings.Join(args, " "), err, w.flux)
	}
	return w.done()
}

func (w *Whens) runFlux(args []string) error {
	w.T.Helper()
	path, err := shared.flux.find()
	if err != nil {
		w.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	args = append(args, "--kubeconfig", w.Env.Kubeconfig)
	if !slices.Contains(args, "--namespace") {
		args = append(args, "--namespace", w.Namespace)
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	w.flux = string(out)
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
	var found []string
	var walk func(words []string)
	walk = func(words []string) {
		out, err := exec.CommandContext(t.Context(), path, append(slices.Clone(words), "--help")...).Output()
		if err != nil {
			t.Fatalf("flux %s --help: %v", strings.Join(words, " "), err)
		}
		children := commandsIn(string(out))
		for _, child := range children {
			walk(append(slices.Clone(words), child))
		}
		if len(children) == 0 {
			found = append(found, strings.Join(words, " "))
		}
	}
	walk(nil)
	return found
}

// commandsIn reads the names of the sub-commands in a help text.
func commandsIn(help string) []string {
	_, list, _ := strings.Cut(help, "\nAvailable Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names
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
		if !strings.Contains(th.flux, word) {
			th.T.Fatalf("no %q in:\n%s", word, th.flux)
		}
	}
	return th
}

// PrintsNot checks what the latest command did not print.
func (th *Thens) PrintsNot(words ...string) *Thens {
	th.T.Helper()
	for _, word := range words {
		if strings.Contains(th.flux, word) {
			th.T.Fatalf("%q is in:\n%s", word, th.flux)
		}
	}
	return th
}
