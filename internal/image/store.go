package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refAnnotation is where an OCI layout notes the name of an image.
const refAnnotation = "org.opencontainers.image.ref.name"

// ErrNoName says that an image on disk doesn't say what it is called.
var ErrNoName = errors.New("the image has no name; give one with --tag")

// ParseTag reads the name of an image as Docker reads it: "shop:1" is docker.io/library/shop:1.
func ParseTag(ref string) (name.Tag, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image name %q: %w", ref, err)
	}
	return tag, nil
}

// FullName writes a name out: host, repository and tag.
func FullName(tag name.Tag) string {
	return host(tag) + "/" + tag.RepositoryStr() + ":" + tag.TagStr()
}

// host returns the registry of a name as container runtimes name it.
func host(tag name.Tag) string {
	if registry := tag.RegistryStr(); registry != name.DefaultRegistry {
		return registry
	}
	return "docker.io"
}

// WriteTar writes img to a file that 'docker load' and 'ctr images import' take.
func WriteTar(path string, tag name.Tag, img v1.Image) error {
	if err := tarball.WriteToFile(path, tag, img); err != nil {
		return fmt.Errorf("write image to %s: %w", path, err)
	}
	return nil
}

// WriteLayout writes img to a folder as an OCI image layout. A layout that is there already is replaced as far as the image of
// the same name goes.
func WriteLayout(path string, tag name.Tag, img v1.Image) error {
	folder, err := layout.FromPath(path)
	if err != nil {
		if folder, err = layout.Write(path, empty.Index); err != nil {
			return fmt.Errorf("write image to %s: %w", path, err)
		}
	}
	full := FullName(tag)
	named := func(d v1.Descriptor) bool { return d.Annotations[refAnnotation] == full }
	if err := folder.ReplaceImage(img, named, layout.WithAnnotations(map[string]string{refAnnotation: full})); err != nil {
		return fmt.Errorf("write image to %s: %w", path, err)
	}
	return nil
}

// Read reads the only image of a file or folder that WriteTar or WriteLayout wrote, and its name; the name is empty when the
// image doesn't say one.
func Read(path string) (img v1.Image, ref string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("read image: %w", err)
	}
	if info.IsDir() {
		return readLayout(path)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	if len(manifest) != 1 {
		return nil, "", fmt.Errorf("read image %s: want one image, found %d", path, len(manifest))
	}
	if len(manifest[0].RepoTags) > 0 {
		ref = manifest[0].RepoTags[0]
	}
	if img, err = tarball.ImageFromPath(path, nil); err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	if img, err = asBuilt(img); err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	return img, ref, nil
}

// asBuilt gives an image that was read from a tar file the manifest that Build gave it: the file has layers and a configuration, and
// no manifest, so that whoever reads it makes up one of Docker's, with another digest.
func asBuilt(img v1.Image) (v1.Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	history := config.History
	built := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for i, layer := range layers {
		addendum := mutate.Addendum{Layer: layer, MediaType: types.OCILayer}
		if len(history) == len(layers) {
			addendum.History = history[i]
		}
		if built, err = mutate.Append(built, addendum); err != nil {
			return nil, err
		}
	}
	return mutate.ConfigFile(built, config)
}

func readLayout(path string) (v1.Image, string, error) {
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	if len(manifest.Manifests) != 1 {
		return nil, "", fmt.Errorf("read image %s: want one image, found %d", path, len(manifest.Manifests))
	}
	only := manifest.Manifests[0]
	img, err := index.Image(only.Digest)
	if err != nil {
		return nil, "", fmt.Errorf("read image %s: %w", path, err)
	}
	return img, only.Annotations[refAnnotation], nil
}

// Push brings img to a plain-HTTP registry that mirrors all others, as a lab has one, so that a pull of tag from there finds it:
// the image is kept as "host/repository:tag", which is what a mirror is asked for. It returns the digest.
func Push(ctx context.Context, registry string, tag name.Tag, img v1.Image) (v1.Hash, error) {
	if _, _, err := net.SplitHostPort(registry); err != nil {
		return v1.Hash{}, fmt.Errorf("registry address %q: %w", registry, err)
	}
	repository := strings.ReplaceAll(host(tag), ":", "_") + "/" + tag.RepositoryStr()
	target, err := name.NewTag(registry+"/"+repository+":"+tag.TagStr(), name.Insecure)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("name %s in the registry: %w", FullName(tag), err)
	}
	if err := remote.Write(target, img, remote.WithContext(ctx)); err != nil {
		return v1.Hash{}, fmt.Errorf("push %s: %w", FullName(tag), err)
	}
	return img.Digest()
}
