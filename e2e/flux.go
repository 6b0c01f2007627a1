package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	path, err := shared.flux.find()
	if err != nil {
		w.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	args = append(args, "--kubeconfig", w.Env.Kubeconfig, "--namespace", w.Namespace)
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	w.flux = string(out)
	if err != nil {
		w.T.Fatalf("flux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return w.done()
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
