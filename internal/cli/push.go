package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/source/oci"
)

func newPush(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "push",
		Short: "Push manifests to a registry",
		Long:  "Push a folder of manifests to a registry, in the form that an OCIRepository delivers, Slipway's and Flux's alike.",
		Example: `  slipway push artifact oci://registry.example.com/team/shop:$(git rev-parse --short HEAD) --path deploy \
    --source "$(git config --get remote.origin.url)" --revision "main@sha1:$(git rev-parse HEAD)" --tag latest`,
	}, newPushArtifact(app))
}

// registryFlags say how a registry is reached.
type registryFlags struct {
	creds    string
	insecure bool
}

func (r *registryFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.creds, "creds", "", "login as NAME:PASSWORD (default: what 'docker login' has stored in ~/.docker/config.json)")
	cmd.Flags().BoolVar(&r.insecure, "insecure", false, "allow a registry without TLS, or with a certificate that nobody vouches for")
}

func newPushArtifact(app *App) *cobra.Command {
	var (
		contents    oci.Contents
		registry    registryFlags
		folder      string
		ignore      []string
		annotations map[string]string
		tags        []string
		repeatable  bool
	)
	cmd := &cobra.Command{
		Use:   "artifact oci://HOST/PATH:TAG --path FOLDER",
		Short: "Push a folder of manifests as an OCI artifact",
		Long: `Push a folder of manifests as an OCI artifact, which an OCIRepository then pulls: Slipway's and Flux's alike.

Files that .sourceignore or --ignore-paths leave out are not part of it; without either, pictures, archives and CI files
are left out, as everywhere. --source and --revision are noted in the artifact, and turn up in the cluster as the
lastAppliedOriginRevision of Kustomizations.`,
		Example: `  slipway push artifact oci://registry.example.com/team/shop:1.2.0 --path deploy \
    --source https://git.example.com/team/shop --revision main@sha1:0123abcd --tag latest

  # The same files give the same digest
  slipway push artifact oci://localhost:5000/shop:dev --path . --insecure --reproducible`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVarP(&folder, "path", "f", ".", "folder with the manifests")
	flags.StringVar(&contents.Source, "source", "", "where the files come from, such as a repository's URL")
	flags.StringVar(&contents.Revision, "revision", "", "which revision they are, such as main@sha1:HASH")
	flags.StringArrayVarP(&tags, "tag", "t", nil, "push it under this tag, too; can be repeated")
	flags.StringToStringVarP(&annotations, "annotations", "a", nil, "annotations to note besides, KEY=VALUE")
	flags.StringSliceVar(&ignore, "ignore-paths", nil, "patterns to leave out, in the format of .gitignore")
	flags.BoolVar(&repeatable, "reproducible", false, "note no time, so that the same files give the same digest")
	registry.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := oci.ParseLocation(args[0])
		if err != nil {
			return usageError{err}
		}
		if to.Digest != "" {
			return usagef("a push needs a tag; the digest follows from what is in the artifact")
		}
		auth, err := registry.auth()
		if err != nil {
			return err
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return fmt.Errorf("open --path: %w", err)
		}
		defer func() { _ = root.Close() }() // it was only read
		contents.Files, contents.Annotations = root.FS(), annotations
		if len(ignore) > 0 {
			contents.Ignore = new(strings.Join(ignore, "\n"))
		}
		if !repeatable {
			contents.Created = app.now().Truncate(time.Second)
		}
		artifact, err := oci.Pack(contents)
		if err != nil {
			return err
		}
		app.progressf("pushing to %s:%s", to.URL, to.Tag)
		digest, err := oci.Push(cmd.Context(), to, tags, auth, registry.insecure, artifact)
		if err != nil {
			return registryError(err)
		}
		app.donef("%s:%s@%s pushed", to.URL, to.Tag, digest)
		return nil
	}
	return cmd
}
