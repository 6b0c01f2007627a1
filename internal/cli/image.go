package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/image"
)

func newImage(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "image",
		Short: "Make container images without Docker, and bring them into a lab",
		Long: `Make a container image of a static binary without a container engine, and bring it into a lab so that pods can
run it.`,
		Example: `  CGO_ENABLED=0 go build -o cart ./cmd/cart
  slipway image build --binary cart --tag shop/cart:1 --file cart.tar
  slipway image load cart.tar`,
	}, newImageBuild(app), newImageLoad(app))
}

// addSpecFlags gives cmd the flags that say what an image is made of.
func addSpecFlags(cmd *cobra.Command, spec *image.Spec, tag *string) {
	flags := cmd.Flags()
	flags.StringVar(&spec.Binary, "binary", "", "statically linked Linux executable; it becomes the entrypoint")
	flags.StringVar(tag, "tag", "", "name of the image, such as shop/cart:1")
	flags.StringVar(&spec.Platform, "platform", "", "os/arch that the binary must be for (default: what it is for)")
	flags.StringVar(&spec.CACerts, "ca-certs", "", "PEM file with the certificate authorities that the program shall trust")
}

func newImageBuild(app *App) *cobra.Command {
	var (
		spec image.Spec
		ref  string
		file string
	)
	cmd := &cobra.Command{
		Use:   "build --binary FILE --tag NAME",
		Short: "Make a container image of a static binary",
		Long: `Make a container image that holds a static binary and a user to run it as, and nothing else. The same input gives
the same digest on every machine; the digest is printed.

The image is written as a tar file that 'docker load' and 'ctr images import' take, or as a folder in the OCI image layout.`,
		Example: `  CGO_ENABLED=0 go build -trimpath -o cart ./cmd/cart
  slipway image build --binary cart --tag shop/cart:1

  # A program that calls https services needs authorities to trust
  slipway image build --binary cart --tag shop/cart:1 --ca-certs /etc/ssl/certs/ca-certificates.crt

  # As a layout for other tools
  slipway image build --binary cart --tag shop/cart:1 --output layout --file images/`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addSpecFlags(cmd, &spec, &ref)
	cmd.Flags().StringVar(&file, "file", "", "where to write it (default: BINARY.tar, or the folder BINARY.oci)")
	out := addOutputFlag(cmd, "tar", "layout")
	cmd.RunE = func(*cobra.Command, []string) error {
		img, tag, err := buildImage(spec, ref)
		if err != nil {
			return err
		}
		write, suffix := image.WriteTar, ".tar"
		if out.value == "layout" {
			write, suffix = image.WriteLayout, ".oci"
		}
		if file == "" {
			file = filepath.Base(spec.Binary) + suffix
		}
		if err := write(file, tag, img); err != nil {
			return err
		}
		return app.printImage(tag, img, "written to "+file)
	}
	return cmd
}

func newImageLoad(app *App) *cobra.Command {
	var (
		spec image.Spec
		ref  string
	)
	cmd := &cobra.Command{
		Use:   "load [FILE|FOLDER]",
		Short: "Bring an image into a lab",
		Long: `Bring an image into the registry of a lab, which its nodes ask before any other. It takes what 'slipway image build'
wrote, or makes the image at once from --binary.

--lab names the lab; without it, it is the one called "` + defaultLab + `".`,
		Example: `  slipway image load cart.tar

  # Make and load in one step, into another lab
  slipway image load --binary cart --tag shop/cart:1 --lab two`,
		Args: cobra.MaximumNArgs(1),
	}
	addSpecFlags(cmd, &spec, &ref)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		img, tag, err := imageToLoad(args, spec, ref)
		if err != nil {
			return err
		}
		registry, err := labRegistry(app.cluster.lab)
		if err != nil {
			return err
		}
		app.progressf("pushing %s", image.FullName(tag))
		if _, err := image.Push(cmd.Context(), registry, tag, img); err != nil {
			return err
		}
		return app.printImage(tag, img, "loaded")
	}
	return cmd
}

// imageToLoad reads the image in args, or makes it from spec.
func imageToLoad(args []string, spec image.Spec, ref string) (v1.Image, name.Tag, error) {
	if spec.Binary != "" {
		if len(args) > 0 {
			return nil, name.Tag{}, usagef("give either a file or --binary")
		}
		return buildImage(spec, ref)
	}
	if len(args) == 0 {
		return nil, name.Tag{}, usagef("give the file or folder of an image, or --binary and --tag")
	}
	img, found, err := image.Read(args[0])
	if err != nil {
		return nil, name.Tag{}, err
	}
	if ref == "" {
		ref = found
	}
	if ref == "" {
		return nil, name.Tag{}, image.ErrNoName
	}
	tag, err := image.ParseTag(ref)
	return img, tag, err
}

func buildImage(spec image.Spec, ref string) (v1.Image, name.Tag, error) {
	if spec.Binary == "" || ref == "" {
		return nil, name.Tag{}, usagef("--binary and --tag are needed")
	}
	if strings.Contains(ref, "@") {
		return nil, name.Tag{}, usagef("--tag takes a name with a tag; the digest follows from what is in the image")
	}
	tag, err := image.ParseTag(ref)
	if err != nil {
		return nil, name.Tag{}, usageError{err}
	}
	img, err := image.Build(spec)
	return img, tag, err
}

func (a *App) printImage(tag name.Tag, img v1.Image, what string) error {
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("take digest: %w", err)
	}
	a.donef("%s@%s %s", image.FullName(tag), digest, what)
	return nil
}
