// Command generate writes the manifests under config/ that follow from Go code: CRDs from the types of Flux's API modules in the
// versions that go.mod names, and the agent's roles from the markers in config/rbac.
//
// It runs controller-gen from the tools module. Run it with 'make generate' or 'go generate ./config/...'.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:generate go run . ..

// The packages with the types, relative to the module that go.mod pins.
const (
	sourceTypes        = "github.com/fluxcd/source-controller/api/v1"
	kustomizationTypes = "github.com/fluxcd/kustomize-controller/api/v1"
	receiverTypes      = "github.com/fluxcd/notification-controller/api/v1"
)

// served lists the generated CRDs that are kept: the kinds that Slipway serves. The packages hold more.
func served() []string {
	return []string{
		"kustomize.toolkit.fluxcd.io_kustomizations.yaml",
		"notification.toolkit.fluxcd.io_receivers.yaml",
		"source.toolkit.fluxcd.io_buckets.yaml",
		"source.toolkit.fluxcd.io_externalartifacts.yaml",
		"source.toolkit.fluxcd.io_gitrepositories.yaml",
		"source.toolkit.fluxcd.io_ocirepositories.yaml",
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate CONFIG_FOLDER")
		os.Exit(2)
	}
	if err := generate(context.Background(), os.Args[1], os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate reads the markers below the folder config and writes what follows from them and from Flux's types below the folder out.
func generate(ctx context.Context, config, out string) error {
	scratch, err := os.MkdirTemp("", "slipway-generate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	err = controllerGen(ctx, config, "crd", "paths="+sourceTypes, "paths="+kustomizationTypes, "paths="+receiverTypes, "output:crd:dir="+scratch)
	if err != nil {
		return err
	}
	bases := filepath.Join(out, "crd", "bases")
	if err := os.MkdirAll(bases, 0o755); err != nil {
		return err
	}
	for _, name := range served() {
		data, err := os.ReadFile(filepath.Join(scratch, name))
		if err != nil {
			return fmt.Errorf("keep CRD: %w", err)
		}
		if err := os.WriteFile(filepath.Join(bases, name), withFileURLs(data), 0o644); err != nil {
			return fmt.Errorf("keep CRD: %w", err)
		}
	}
	roles, err := filepath.Abs(filepath.Join(out, "rbac"))
	if err != nil {
		return err
	}
	return controllerGen(ctx, config, "rbac:roleName=slipway-agent", "paths=./rbac/...", "output:rbac:dir="+roles)
}

// withFileURLs admits file:// as the URL of a GitRepository, for labs: Flux's pattern has http, https and ssh. The agent refuses such a
// URL unless it was started with --allow-file-urls.
func withFileURLs(crd []byte) []byte {
	return bytes.ReplaceAll(crd, []byte("pattern: ^(http|https|ssh)://.*$"), []byte("pattern: ^(http|https|ssh|file)://.*$"))
}

// controllerGen runs the version of controller-gen that the tools module names, in the folder dir.
func controllerGen(ctx context.Context, dir string, args ...string) error {
	tools, err := filepath.Abs(filepath.Join(dir, "..", "tools", "go.mod"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + tools, "controller-gen"}, args...)...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("controller-gen %s: %w\n%s", args[0], err, bytes.TrimSpace(output))
	}
	return nil
}
