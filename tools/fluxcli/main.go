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

const (
	module  = "github.com/fluxcd/flux2/v2"
	version = "2.9.4"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	binary, err := ensure(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fluxcli:", err)
		os.Exit(1)
	}
	fmt.Println(binary)
}

// ensure returns the path of the flux CLI and builds it when it isn't there.
func ensure(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	dir := filepath.Join(cache, "slipway", "flux")
	binary := filepath.Join(dir, fmt.Sprintf("flux-%s-%s-%s", version, runtime.Version(), runtime.GOARCH))
	if _, err := os.Stat(binary); !errors.Is(err, fs.ErrNotExist) {
		return binary, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "building the flux CLI %s from source, once (about two minutes)\n", version)
	return binary, build(ctx, dir, binary)
}

// build compiles flux in a copy of its module, because the module's own folder
// lacks the manifests that its binary embeds and can't be written to.
func build(ctx context.Context, dir, binary string) error {
	module, err := download(ctx)
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
	if err := addManifest(source); err != nil {
		return fmt.Errorf("add a manifest to embed: %w", err)
	}
	built := filepath.Join(source, "flux")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.VERSION="+version, "-o", built, "./cmd/flux")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the flux CLI: %w", err)
	}
	return os.Rename(built, binary) // whoever comes second replaces it with the same bytes
}

// addManifest puts one file where flux embeds manifests/*.yaml, which only
// `flux install` and `flux bootstrap` need.
func addManifest(source string) error {
	folder := filepath.Join(source, "cmd", "flux", "manifests")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "none.yaml"), []byte("# no manifests\n"), 0o644)
}

// download returns the folder of flux's module in the module cache.
func download(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@v"+version)
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
