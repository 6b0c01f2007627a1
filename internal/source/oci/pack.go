package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-dev/slipway/internal/source"
)

// The media types of an artifact as Flux pushes and pulls it.
const (
	ConfigMediaType  = "application/vnd.cncf.flux.config.v1+json"
	ContentMediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// The annotations by which an artifact says what it was made of. They become metadata of the source's artifact in the cluster, and
// the revision becomes a Kustomization's lastAppliedOriginRevision.
const (
	AnnotationCreated  = "org.opencontainers.image.created"
	AnnotationSource   = "org.opencontainers.image.source"
	AnnotationRevision = "org.opencontainers.image.revision"
)

// Contents say what an artifact is made of.
type Contents struct {
	// Files are packed, without those that ignore rules leave out.
	Files fs.FS
	// Ignore are rules beside those of .sourceignore files; nil means the defaults where there are none.
	Ignore *string
	// Source and Revision say where the files come from, such as a repository's URL and main@sha1:….
	Source, Revision string
	// Created is the time to note; the zero value notes none. Without it, the same files make the same artifact.
	Created time.Time
	// Annotations are noted besides.
	Annotations map[string]string
}

// Pack makes an artifact that Flux and Slipway can both read. Files are packed in the order of their paths, without times and owners.
func Pack(c Contents) (v1.Image, error) {
	excluded, err := rules(c)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	archive := tar.NewWriter(z)
	count := 0
	err = fs.WalkDir(c.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || excluded(p) {
			return err
		}
		count++
		return add(archive, c.Files, p, d)
	})
	if err == nil && count == 0 {
		err = errors.New("there is no file to pack: everything is ignored, or the folder is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("pack the artifact: %w", err)
	}
	if err := errors.Join(archive.Close(), z.Close()); err != nil {
		return nil, fmt.Errorf("pack the artifact: %w", err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), ConfigMediaType)
	img, err = mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(packed.Bytes(), ContentMediaType)})
	if err != nil {
		return nil, fmt.Errorf("make the artifact: %w", err)
	}
	return mutate.Annotations(img, c.annotations()).(v1.Image), nil //nolint:forcetypeassert // An image in gives an image out.
}

func (c Contents) annotations() map[string]string {
	all := map[string]string{}
	maps.Copy(all, c.Annotations)
	if c.Source != "" {
		all[AnnotationSource] = c.Source
	}
	if c.Revision != "" {
		all[AnnotationRevision] = c.Revision
	}
	if !c.Created.IsZero() {
		all[AnnotationCreated] = c.Created.UTC().Format(time.RFC3339)
	}
	return all
}

// rules reads what the files say about which of them count.
func rules(c Contents) (func(string) bool, error) {
	filter := source.NewFilter(c.Ignore)
	err := fs.WalkDir(c.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !source.IsIgnoreFile(p) {
			return err
		}
		text, err := fs.ReadFile(c.Files, p)
		if err == nil {
			filter.Read(p, text)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read ignore rules: %w", err)
	}
	return filter.Excludes()
}

// add packs one file. Whoever unpacks it refuses what leads out of the folder, so that is said here already.
func add(archive *tar.Writer, files fs.FS, p string, d fs.DirEntry) error {
	header := &tar.Header{Name: p, Mode: 0o644, Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which Flux doesn't unpack: put the file itself there, or leave the link out with --ignore-paths", p)
	case !d.Type().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder: leave it out with --ignore-paths", p)
	case strings.Contains(p, `\`):
		return fmt.Errorf("%s has a backslash in its name: rename it", p)
	}
	file, err := files.Open(p)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if header.Size = info.Size(); info.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
