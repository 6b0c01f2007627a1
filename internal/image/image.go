package image

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// UserID is the user and the group that images run as: not root, and not one that a machine is likely to have.
const UserID = 65532

// certsPath is where Go, OpenSSL and most others look for certificate authorities.
const certsPath = "/etc/ssl/certs/ca-certificates.crt"

var (
	// ErrNotStatic says that a binary needs a dynamic linker, which an image doesn't have.
	ErrNotStatic = errors.New("the binary is dynamically linked; build it with CGO_ENABLED=0")
	// ErrNotLinux says that a file isn't an executable for Linux.
	ErrNotLinux = errors.New("not a Linux executable; build it with GOOS=linux")
	// ErrPlatform says that a binary is for another platform than the wanted one.
	ErrPlatform = errors.New("the binary is for another platform")
)

// Spec says what to put into an image.
type Spec struct {
	// Binary is the path of a statically linked Linux executable. It becomes the entrypoint, under its own name in /.
	Binary string
	// Platform is "os/arch". Default: what the binary is for.
	Platform string
	// CACerts is the path of a PEM bundle of certificate authorities to put into the image. Default: none.
	CACerts string
}

// Build makes an image.
func Build(spec Spec) (v1.Image, error) {
	platform, err := platformOf(spec.Binary)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", spec.Binary, err)
	}
	if wanted := cmp.Or(spec.Platform, platform.String()); wanted != platform.String() {
		return nil, fmt.Errorf("%s: %w: it is %s, wanted is %s", spec.Binary, ErrPlatform, platform, wanted)
	}
	ground, err := groundLayer(spec.CACerts)
	if err != nil {
		return nil, err
	}
	entrypoint := "/" + filepath.Base(spec.Binary)
	program, err := programLayer(spec.Binary, entrypoint)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.AppendLayers(img, ground, program); err != nil {
		return nil, fmt.Errorf("add layers: %w", err)
	}
	img, err = mutate.ConfigFile(img, configFor(img, platform, entrypoint, spec.CACerts != ""))
	if err != nil {
		return nil, fmt.Errorf("set config: %w", err)
	}
	return img, nil
}

func configFor(img v1.Image, platform *v1.Platform, entrypoint string, certs bool) *v1.ConfigFile {
	config, err := img.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		Entrypoint: []string{entrypoint},
		User:       fmt.Sprintf("%d:%d", UserID, UserID),
		WorkingDir: "/",
		Env:        []string{"PATH=/", "HOME=/home/nonroot"},
	}
	if certs {
		config.Config.Env = append(config.Config.Env, "SSL_CERT_FILE="+certsPath)
	}
	return config
}

// groundLayer is what is below the program: a user, a home, a place for temporary files, and certificate authorities if wanted.
func groundLayer(certs string) (v1.Layer, error) {
	entries := []entry{
		folder("/etc", 0o755, 0),
		text("/etc/group", fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", UserID)),
		text("/etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/home/nonroot:/sbin/nologin\n",
			UserID, UserID)),
		folder("/home", 0o755, 0),
		folder("/home/nonroot", 0o700, UserID),
		folder("/tmp", 0o1777, 0),
	}
	if certs != "" {
		data, err := os.ReadFile(certs)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		entries = append(entries, folder("/etc/ssl", 0o755, 0), folder("/etc/ssl/certs", 0o755, 0), text(certsPath, string(data)))
	}
	layer, err := layerOf(entries)
	if err != nil {
		return nil, fmt.Errorf("make ground layer: %w", err)
	}
	return layer, nil
}

func programLayer(binary, entrypoint string) (v1.Layer, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read binary: %w", err)
	}
	layer, err := layerOf([]entry{{path: entrypoint, mode: 0o555, data: data}})
	if err != nil {
		return nil, fmt.Errorf("make program layer: %w", err)
	}
	return layer, nil
}
