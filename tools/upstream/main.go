package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	source := flag.Bool("source", false, "print the folder of the program's module")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: upstream [-source] PROGRAM") }
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	answer := ensure
	if *source {
		answer = folder
	}
	path, err := answer(ctx, flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// folder returns where the program's module is.
func folder(ctx context.Context, name string) (string, error) {
	p, err := find(name)
	if err != nil {
		return "", err
	}
	return p.download(ctx)
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
	if p.within != "" {
		return binary, p.buildWithin(ctx, dir, binary)
	}
	return binary, p.build(ctx, dir, binary)
}

// buildWithin compiles the program as a dependency of a nested module.
func (p program) buildWithin(ctx context.Context, dir, binary string) error {
	built, err := os.MkdirTemp(dir, "built-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(built)
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output() // this module's folder, beside which all others are
	if err != nil {
		return fmt.Errorf("find the clone: %w", err)
	}
	out := filepath.Join(built, filepath.Base(binary))
	if err := compile(ctx, filepath.Join(filepath.Dir(strings.TrimSpace(string(top))), p.within), "-mod=readonly", p.flags(), out, p.module); err != nil {
		return err
	}
	return os.Rename(out, binary)
}

// compile runs Go's linker with the given flags.
func compile(ctx context.Context, dir, mode, flags, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="+mode)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}

// build compiles in a copy of the module, because the module's own folder lacks what its binary embeds and can't be written to.
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
	if p.prepare != nil {
		if err := p.prepare(source); err != nil {
			return fmt.Errorf("prepare the sources of %s: %w", p.module, err)
		}
	}
	built := filepath.Join(source, "built")
	if err := compile(ctx, source, "-mod=mod", p.flags(), built, p.main); err != nil {
		return err
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
