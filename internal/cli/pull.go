package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/cobra"

	treestore "github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func newPull(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:     "pull",
		Short:   "Pull manifests from a registry",
		Long:    "Pull what 'slipway push', or flux, put into a registry, as an OCIRepository does.",
		Example: "  slipway pull artifact oci://registry.example.com/team/shop:1.2.0 --output deploy/",
	}, newPullArtifact(app))
}

func newPullArtifact(app *App) *cobra.Command {
	var (
		registry registryFlags
		folder   string
	)
	cmd := &cobra.Command{
		Use:   "artifact oci://HOST/PATH:TAG --output FOLDER",
		Short: "Pull the manifests of an OCI artifact into a folder",
		Long: `Pull the manifests of an OCI artifact into a folder, whoever pushed it. The bounds of the agent hold here, too: what it
refuses is refused. The folder is made if it isn't there; files in it that the artifact has as well are replaced, others stay.`,
		Example: `  slipway pull artifact oci://registry.example.com/team/shop:1.2.0 --output deploy/
  slipway pull artifact oci://registry.example.com/team/shop@sha256:… --output deploy/`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&folder, "output", "o", "", "folder to write to (required)")
	registry.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if folder == "" {
			return usagef("--output FOLDER is needed")
		}
		from, err := oci.ParseLocation(args[0])
		if err != nil {
			return usageError{err}
		}
		auth, err := registry.auth()
		if err != nil {
			return err
		}
		scratch, err := os.MkdirTemp("", "slipway-pull-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch)
		store, err := treestore.NewStore(scratch)
		if err != nil {
			return err
		}
		client := oci.NewClient(store)
		defer client.Close()
		app.progressf("pulling %s", args[0])
		got, err := client.Fetch(cmd.Context(), oci.Request{
			URL: from.URL, Ref: &sourcev1.OCIRepositoryRef{Tag: from.Tag, Digest: from.Digest}, Auth: auth, Insecure: registry.insecure,
			Layer: &sourcev1.OCILayerSelector{Operation: sourcev1.OCILayerCopy}, // all of it, whatever rules say
		})
		if err != nil {
			return registryError(err)
		}
		if err := writeFiles(got.Snapshot.FS(), folder); err != nil {
			return fmt.Errorf("write to %s: %w", folder, err)
		}
		app.donef("%s of %s written to %s", got.Snapshot.Revision(), from.URL, folder)
		for _, key := range slices.Sorted(maps.Keys(got.Metadata)) {
			app.donef("%s: %s", key, got.Metadata[key])
		}
		return nil
	}
	return cmd
}

// writeFiles copies files below a folder, and nothing outside of it. Links are written as what they lead to.
func writeFiles(files fs.FS, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing is written through it itself
	return fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return root.MkdirAll(p, 0o755)
		}
		info, err := fs.Stat(files, p)
		if err != nil || info.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		return root.WriteFile(p, data, 0o644|info.Mode()&0o111)
	})
}

// auth is what the registry is shown: --creds, or what 'docker login' stored. A credential helper of Docker's is not run.
func (r *registryFlags) auth() (oci.Auth, error) {
	if r.creds != "" {
		name, password, ok := strings.Cut(r.creds, ":")
		if !ok {
			return oci.Auth{}, usagef("--creds takes NAME:PASSWORD")
		}
		return oci.Login(name, password), nil
	}
	folder := os.Getenv("DOCKER_CONFIG")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return oci.Auth{}, nil //nolint:nilerr // Without a home there is no stored login.
		}
		folder = filepath.Join(home, ".docker")
	}
	stored, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return oci.Auth{}, nil
	}
	if err != nil {
		return oci.Auth{}, fmt.Errorf("read stored logins: %w", err)
	}
	auth, err := oci.AuthFromSecrets(oci.Secrets{Pull: []map[string][]byte{{".dockerconfigjson": stored}}})
	if err != nil {
		return oci.Auth{}, fmt.Errorf("%s can't be read as Docker's configuration; use --creds NAME:PASSWORD", filepath.Join(folder, "config.json"))
	}
	return auth, nil
}

// registryError says for a person at a terminal what the agent says for one who writes a manifest.
func registryError(err error) error {
	var typed *treestore.Error
	if errors.As(err, &typed) && typed.Reason == treestore.ReasonAuthenticationFailed {
		return errors.New("the registry refused the login, or wants one: run 'docker login HOST' (without a credential helper), or give --creds NAME:PASSWORD")
	}
	return err
}
