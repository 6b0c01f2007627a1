package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
)

func newPackageInit(app *App) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Begin a package",
		Long: `Begin a package in a folder, which is made if it isn't there: a package.yaml, and a manifest to begin with, unless the folder has
manifests, definitions or a chart already. What is there stays as it is.`,
		Example: `  slipway package init runner
  slipway package init . --name runner`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the package (default: the folder's)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		folder := folderOr(args)
		if name == "" {
			full, err := filepath.Abs(folder)
			if err != nil {
				return err
			}
			name = strings.ToLower(filepath.Base(full))
		}
		files := packages.Scaffold(name)
		if _, err := packages.ParseManifest([]byte(files[packages.ManifestFile])); err != nil {
			return usagef("%s can't be the name of a package: give one with --name, of lower-case letters, digits and hyphens", name)
		}
		return app.scaffold(folder, files)
	}
	return cmd
}

// scaffold writes files that aren't there yet.
func (a *App) scaffold(folder string, files map[string]string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // each file is closed by itself
	if _, err := root.Stat(packages.ManifestFile); err == nil {
		return fmt.Errorf("%s has a %s already: it is a package", folder, packages.ManifestFile)
	}
	for _, content := range []string{"manifests", "crds", "chart"} {
		if _, err := root.Stat(content); err == nil {
			files = map[string]string{packages.ManifestFile: files[packages.ManifestFile]}
		}
	}
	for name, content := range files {
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	a.donef("%s begun: edit it, then run 'slipway package lint %s'", filepath.Join(folder, packages.ManifestFile), folder)
	return nil
}
