package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
	treestore "github.com/slipway-dev/slipway/internal/source"
)

func newPackage(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "package",
		Short: "Make packages, which Modules install",
		Long: `Make packages, which Modules install: a folder with a package.yaml, and beside it manifests, a Kustomize folder or a Helm chart.

The same folder makes the same package, bit for bit. No other program is run, and no cluster is asked.`,
		Example: `  slipway package init runner
  slipway package lint runner
  slipway package push runner oci://registry.example.com/packages/runner`,
	}, newPackageInit(app), newPackageLint(app), newPackageBuild(app), newPackagePush(app), newPackageInspect(app), newPackageBundle(app))
}

// workshop is where packages are worked on: a store that is gone at the end, and the folder that holds it.
type workshop struct {
	dir   string
	store *treestore.Store
}

func newWorkshop() (*workshop, error) {
	dir, err := os.MkdirTemp("", "slipway-package-")
	if err != nil {
		return nil, err
	}
	store, err := treestore.NewStore(filepath.Join(dir, "store"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &workshop{dir: dir, store: store}, nil
}

// close removes all of it. What can't be removed is the system's to remove.
func (w *workshop) close() { _ = os.RemoveAll(w.dir) }

// folderFS opens a folder, out of which no link leads.
func folderFS(folder string) (fs.FS, func(), error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", folder, err)
	}
	return root.FS(), func() { _ = root.Close() }, nil // it was only read
}

// renderFlags say for what a package is rendered.
type renderFlags struct {
	values      []string
	namespace   string
	name        string
	kubeVersion string
}

func (r *renderFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&r.values, "values", nil, "YAML file with settings, as a Module's spec.values; may be repeated, a later one wins")
	flags.StringVar(&r.namespace, "for-namespace", "", "namespace of the Module (default: the package's, else its name)")
	flags.StringVar(&r.name, "for-name", "", "name of the Module (default: the package's)")
	flags.StringVar(&r.kubeVersion, "kube-version", "", "version of Kubernetes to render for, such as 1.36.2 (default: the one that slipway was built for)")
}

// rendering is what the flags stand for. m says the defaults; it may be empty.
func (r *renderFlags) rendering(m packages.Manifest) (packages.Rendering, error) {
	out := packages.Rendering{Name: r.name, Namespace: r.namespace, KubeVersion: r.kubeVersion}
	if out.Name == "" {
		out.Name = m.Name
	}
	for _, fallback := range []string{m.Namespace, out.Name} {
		if out.Namespace == "" {
			out.Namespace = fallback
		}
	}
	for _, file := range r.values {
		text, err := os.ReadFile(file)
		if err != nil {
			return out, fmt.Errorf("read values: %w", err)
		}
		var values packages.Values
		if err := yaml.UnmarshalStrict(text, &values); err != nil {
			return out, fmt.Errorf("%s isn't a table of settings in YAML: %w", file, err)
		}
		out.Values = packages.Overlay(out.Values, values)
	}
	return out, nil
}

// folderOr gives the folder that a command is about.
func folderOr(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "."
}
