// Command generate writes what follows from Go code: under config/ the CRDs, from the types of Flux's API modules in the versions that
// go.mod names and from our own, and the agent's roles, from the markers in config/rbac; beside our types the functions that copy them.
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

// The packages with the types: Flux's as go.mod pins them, ours by their place from config/.
const (
	ownTypes           = "../api/v1alpha1"
	sourceTypes        = "github.com/fluxcd/source-controller/api/v1"
	kustomizationTypes = "github.com/fluxcd/kustomize-controller/api/v1"
	receiverTypes      = "github.com/fluxcd/notification-controller/api/v1"
)

// served lists the generated CRDs of the kinds that Slipway serves, which are those that are installed with it. Flux's packages hold more.
func served() []string {
	return []string{
		"kustomize.toolkit.fluxcd.io_kustomizations.yaml",
		"notification.toolkit.fluxcd.io_receivers.yaml",
		"slipway.dev_agentupgrades.yaml",
		"slipway.dev_interpreters.yaml",
		"source.toolkit.fluxcd.io_buckets.yaml",
		"source.toolkit.fluxcd.io_externalartifacts.yaml",
		"source.toolkit.fluxcd.io_gitrepositories.yaml",
		"source.toolkit.fluxcd.io_ocirepositories.yaml",
		"slipway.dev_modulegrants.yaml",
		"slipway.dev_modulerevisions.yaml",
		"slipway.dev_modules.yaml",
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

// generate reads the markers below the folder config and in the folder api beside it, and writes what follows from them and from Flux's
// types below the folder out and into the folder api beside that.
func generate(ctx context.Context, config, out string) error {
	scratch, err := os.MkdirTemp("", "slipway-generate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	copies, err := filepath.Abs(filepath.Join(out, ownTypes))
	if err != nil {
		return err
	}
	// The copies come first: without them our types are no objects.
	if err := controllerGen(ctx, config, "object", "paths="+ownTypes, "output:object:dir="+copies); err != nil {
		return err
	}
	err = controllerGen(ctx, config, "crd", "paths="+sourceTypes, "paths="+kustomizationTypes, "paths="+receiverTypes, "paths="+ownTypes,
		"output:crd:dir="+scratch)
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
