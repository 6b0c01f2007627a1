package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/pack/bundle"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func newPackagePush(app *App) *cobra.Command {
	var (
		registry registryFlags
		tags     []string
		carried  bool
	)
	cmd := &cobra.Command{
		Use:   "push FOLDER|FILE oci://HOST/PATH",
		Short: "Push a package, or all of a bundle, to a registry",
		Long: `Push the package in a folder, or in a file of 'slipway package build', to a repository of a registry, under its version as the tag. A +
in a version is a _ in the tag. Sign it afterwards with cosign, by the digest that is printed.

With --bundle all that is in a file of 'slipway package bundle' is pushed below HOST/PATH, bit for bit: packages as
HOST/PATH/packages/NAME:VERSION with their signatures, images under their own names. What a Module has to say in spec.images to run
them from there is printed.`,
		Example: `  slipway package push runner oci://registry.example.com/packages/runner
  slipway package push --bundle platform.tar oci://mirror.example.com/slipway`,
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().StringArrayVarP(&tags, "tag", "t", nil, "push it under this tag, too; can be repeated")
	cmd.Flags().BoolVar(&carried, "bundle", false, "push all packages, images and signatures of a bundle")
	registry.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.ContainsAny(strings.TrimPrefix(args[1], "oci://"), "@") {
			return usagef("want oci://HOST/PATH, without a digest")
		}
		if carried {
			return app.pushBundle(cmd.Context(), args[0], strings.TrimSuffix(args[1], "/"), registry)
		}
		return app.pushPackage(cmd.Context(), args[0], args[1], tags, registry)
	}
	return cmd
}

func (a *App) pushPackage(ctx context.Context, what, to string, tags []string, registry registryFlags) error {
	shop, err := newWorkshop()
	if err != nil {
		return err
	}
	defer shop.close()
	f, err := shop.find(ctx, what, registry)
	if err != nil {
		return err
	}
	defer f.close()
	if _, err := f.pkg.Render(ctx, packages.Rendering{Name: f.Manifest.Name, Namespace: f.Manifest.Name}); err != nil && f.Manifest.Schema == nil {
		a.warnf("with its own settings it can't be installed: %v", err)
	}
	artifact, err := bundle.Artifact(ctx, f.from, f.desc)
	if err != nil {
		return err
	}
	repository, err := registry.repository(to)
	if err != nil {
		return err
	}
	defer repository.Close()
	for _, tag := range append([]string{packages.Tag(f.Manifest.Version)}, tags...) {
		if _, err := name.NewTag("x:" + tag); err != nil {
			return usagef("%q can't be a tag", tag)
		}
		a.progressf("pushing to %s:%s", to, tag)
		if err := repository.Push(ctx, tag, artifact); err != nil {
			return registryError(err)
		}
	}
	a.donef("%s:%s@%s pushed", to, packages.Tag(f.Manifest.Version), f.desc.Digest)
	return nil
}

// repository opens a repository, oci://HOST/PATH, with the login that the flags name.
func (r *registryFlags) repository(address string) (*oci.Repository, error) {
	auth, err := r.auth()
	if err != nil {
		return nil, err
	}
	opened, err := oci.OpenRepository(address, auth, r.insecure)
	if err != nil {
		return nil, usageError{err}
	}
	return opened, nil
}

// pushBundle pushes all that a bundle lists. Packages come last: who finds one finds all that it needs.
func (a *App) pushBundle(ctx context.Context, file, prefix string, registry registryFlags) error {
	opened, done, err := openBundle(file)
	if err != nil {
		return err
	}
	defer done()
	var moved []string
	for _, kind := range []string{bundle.KindImage, bundle.KindSignature, bundle.KindPackage} {
		for _, item := range itemsOf(opened, kind) {
			from, err := a.pushItem(ctx, opened, item, prefix, registry)
			if err != nil {
				return err
			}
			if from != "" && !slices.Contains(moved, from) {
				moved = append(moved, from)
			}
		}
	}
	if len(moved) > 0 {
		fmt.Fprintln(a.Out, "\n# in each Module:\nspec:\n  images:")
		for _, host := range moved {
			fmt.Fprintf(a.Out, "  - {from: %s, to: %s/%s}\n", host, strings.TrimPrefix(prefix, "oci://"), mirrored(host))
		}
	}
	return nil
}

// mirrored is a host as a part of a path.
func mirrored(host string) string { return strings.ReplaceAll(host, ":", "-") }

// pushItem pushes one thing of a bundle. It says which registry an image is from.
func (a *App) pushItem(ctx context.Context, b *bundle.Bundle, item bundle.Item, prefix string, registry registryFlags) (host string, err error) {
	var path, tag string
	switch item.Kind {
	case bundle.KindImage:
		ref, err := name.ParseReference(item.Name)
		if err != nil {
			return "", fmt.Errorf("%.200q in the bundle is no name of an image", item.Name)
		}
		host = ref.Context().RegistryStr()
		if host == name.DefaultRegistry {
			host = "docker.io"
		}
		path = mirrored(host) + "/" + ref.Context().RepositoryStr()
		if t, ok := ref.(name.Tag); ok {
			tag = t.TagStr()
		}
	case bundle.KindSignature: // NAME, or NAME:TAG where it has one
		of, at, _ := strings.Cut(item.Name, ":")
		path, tag = "packages/"+of, at
	case bundle.KindPackage:
		of, version, ok := strings.Cut(item.Name, ":")
		if !ok {
			return "", fmt.Errorf("%.200q in the bundle is no package with a version", item.Name)
		}
		path, tag = "packages/"+of, version
	}
	artifact, err := bundle.Artifact(ctx, b, item.Descriptor)
	if err != nil {
		return "", err
	}
	repository, err := registry.repository(prefix + "/" + path)
	if err != nil {
		return "", err
	}
	defer repository.Close()
	a.progressf("pushing %s %s", item.Kind, item.Name)
	if err := repository.Push(ctx, tag, artifact); err != nil {
		return "", registryError(err)
	}
	if item.Kind != bundle.KindSignature {
		a.donef("%s/%s:%s@%s pushed", prefix, path, tag, item.Digest)
	}
	return host, nil
}
