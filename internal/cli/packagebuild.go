package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/pack/bundle"
)

func newPackageBuild(app *App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "build [FOLDER] [--output FILE]",
		Short: "Build a package into a file",
		Long: `Build the package in a folder into a file, which 'slipway package push' puts into a registry. The same folder makes the same file,
wherever and whenever: times, owners and what isn't part of a package aren't in it. The digest that is printed is the one that the
package has in any registry.`,
		Example: `  slipway package build runner
  slipway package build runner --output runner.tar`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write (default: NAME-VERSION.tar)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		shop, err := newWorkshop()
		if err != nil {
			return err
		}
		defer shop.close()
		made, err := shop.build(cmd.Context(), folderOr(args))
		if err != nil {
			return err
		}
		if output == "" {
			output = made.Manifest.Name + "-" + packages.Tag(made.Manifest.Version) + ".tar"
		}
		if err := writeBundle(output, func(w *bundle.Writer) error {
			return w.Add(cmd.Context(), made.from, made.desc, bundle.KindPackage, made.name())
		}); err != nil {
			return err
		}
		app.donef("%s@%s written to %s", made.name(), made.desc.Digest, output)
		return nil
	}
	return cmd
}

// build makes a package of a folder.
func (w *workshop) build(ctx context.Context, folder string) (*crate, error) {
	files, done, err := folderFS(folder)
	if err != nil {
		return nil, err
	}
	defer done()
	image, p, err := packages.Build(ctx, w.store, files)
	if err != nil {
		return nil, fmt.Errorf("%s can't be built: %w", folder, err)
	}
	from, desc, err := bundle.Of(image)
	if err != nil {
		return nil, err
	}
	return &crate{Manifest: p.Manifest, from: from, desc: desc}, nil
}

// writeBundle writes a file that is there in whole or not at all.
func writeBundle(file string, fill func(*bundle.Writer) error) (err error) {
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	w := bundle.NewWriter(part)
	err = fill(w)
	if err == nil {
		err = w.Close()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err = os.Chmod(part.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}
