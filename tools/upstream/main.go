package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: upstream PROGRAM")
		os.Exit(2)
	}
	binary, err := ensure(ctx, os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
	fmt.Println(binary)
}

// ensure returns the path of a program and builds it when it isn't there.
func ensure(ctx context.Context, name string) (string, error) {
	p, err := find(name)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	dir := filepath.Join(cache, "slipway", "flux")
	binary := filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%s", name, p.version, runtime.Version(), runtime.GOARCH))
	if _, err := os.Stat(binary); !errors.Is(err, fs.ErrNotExist) {
		return binary, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "building %s %s from source, once (some minutes)\n", name, p.version)
	return binary, p.build(ctx, dir, binary)
}

// build compiles in a copy of the module: there it is the main module, so that its own replacements count, and may be written to.
func (p program) build(ctx context.Context, dir, binary string) error {
	module, err := p.download(ctx)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp(dir, "source-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	if err := os.CopyFS(source, os.DirFS(module)); err != nil {
		return fmt.Errorf("copy the module %s: %w", module, err)
	}
	if err := p.restoreNested(ctx, source); err != nil {
		return err
	}
	if p.prepare != nil {
		if err := p.prepare(source); err != nil {
			return fmt.Errorf("prepare the sources of %s: %w", p.module, err)
		}
	}
	built := filepath.Join(source, "built")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", p.flags(), "-o", built, p.main)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", p.module, err)
	}
	return os.Rename(built, binary) // whoever comes second replaces it with the same bytes
}

// download returns the folder of the program's module in the module cache.
func (p program) download(ctx context.Context) (string, error) {
	return download(ctx, p.module+"@v"+p.version)
}

func download(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside any module, whose go.sum would have to list it
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, runErr := cmd.Output()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("download the module %s: %w", module, errors.Join(runErr, err))
	}
	if answer.Error != "" {
		return "", fmt.Errorf("download the module %s: %s", module, answer.Error)
	}
	return answer.Dir, runErr
}
