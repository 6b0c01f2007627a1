package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/pack/bundle"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func newPackageBundle(app *App) *cobra.Command {
	var (
		registry registryFlags
		render   renderFlags
		output   string
		more     []string
		bare     bool
	)
	cmd := &cobra.Command{
		Use:   "bundle oci://HOST/PATH:VERSION|FOLDER|FILE… --output FILE",
		Short: "Put packages and their images into one file, to be carried over",
		Long: `Put packages, their signatures and the images that they run into one file, for clusters without a way to the registries that these
come from. 'slipway package push --bundle' pushes all of it to a registry there.

The images are those of the containers of the package's objects as they are rendered with --values, those that it names in its
package.yaml, and those of --image; for all architectures that they have. Everything is copied bit for bit, so digests and signatures
stay good.`,
		Example: `  slipway package bundle oci://registry.example.com/packages/runner:1.4.2 --output runner-1.4.2.tar
  slipway package push --bundle runner-1.4.2.tar oci://mirror.example.com/slipway`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write (required)")
	cmd.Flags().StringArrayVar(&more, "image", nil, "image to take along besides; may be repeated")
	cmd.Flags().BoolVar(&bare, "without-images", false, "take along packages and signatures only")
	render.add(cmd)
	registry.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if output == "" {
			return usagef("--output FILE is needed")
		}
		shop, err := newWorkshop()
		if err != nil {
			return err
		}
		defer shop.close()
		l := &loading{app: app, shop: shop, registry: registry, render: render}
		err = writeBundle(output, func(w *bundle.Writer) error {
			l.to = w
			for _, what := range args {
				if err := l.pkg(cmd.Context(), what); err != nil {
					return err
				}
			}
			if bare {
				return nil
			}
			for _, image := range append(l.images, more...) {
				if err := l.image(cmd.Context(), image); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		app.donef("%s written, with packages: %d, images: %d, signatures: %d", output, l.count[bundle.KindPackage], l.count[bundle.KindImage], l.count[bundle.KindSignature])
		return nil
	}
	return cmd
}

// loading fills a bundle.
type loading struct {
	app      *App
	shop     *workshop
	registry registryFlags
	render   renderFlags
	to       *bundle.Writer
	images   []string
	listed   map[string]bool
	count    map[string]int
}

func (l *loading) add(ctx context.Context, from bundle.Source, c *crate, kind, name string) error {
	if l.count == nil {
		l.count, l.listed = map[string]int{}, map[string]bool{}
	}
	if l.listed[kind+" "+name] {
		return nil
	}
	l.listed[kind+" "+name] = true
	l.count[kind]++
	return l.to.Add(ctx, from, c.desc, kind, name)
}

// pkg puts a package in, with its signatures, and notes its images.
func (l *loading) pkg(ctx context.Context, what string) error {
	f, err := l.shop.find(ctx, what, l.registry)
	if err != nil {
		return err
	}
	defer f.close()
	r, err := l.render.rendering(f.Manifest)
	if err != nil {
		return err
	}
	objects, err := f.pkg.Render(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: which images it runs can't be told without rendering it; give its settings with --values: %w", what, err)
	}
	l.images = append(append(l.images, packages.Images(objects)...), f.Manifest.Images...)
	l.app.progressf("adding package %s", f.name())
	if err := l.add(ctx, f.from, f.crate, bundle.KindPackage, f.name()); err != nil {
		return registryError(err)
	}
	if f.repository == nil {
		return nil
	}
	signatures, err := f.repository.Signatures(ctx, f.desc.Digest)
	if err != nil {
		return registryError(err)
	}
	for _, s := range signatures {
		name := f.Manifest.Name + ":" + s.Tag
		if s.Tag == "" {
			name = f.Manifest.Name
		}
		if err := l.add(ctx, f.repository, &crate{desc: s.Descriptor}, bundle.KindSignature, name); err != nil {
			return registryError(err)
		}
	}
	return nil
}

// image puts an image in.
func (l *loading) image(ctx context.Context, image string) error {
	address, reference, err := oci.ImageAddress(image)
	if err != nil {
		return err
	}
	repository, err := l.registry.repository(address)
	if err != nil {
		return err
	}
	defer repository.Close()
	l.app.progressf("adding image %s", image)
	desc, err := repository.Resolve(ctx, reference)
	if err != nil {
		return fmt.Errorf("image %s: %w", image, registryError(err))
	}
	if err := l.add(ctx, repository, &crate{desc: desc}, bundle.KindImage, image); err != nil {
		return fmt.Errorf("image %s: %w", image, registryError(err))
	}
	return nil
}
