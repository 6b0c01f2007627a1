package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations of what a bundle lists.
const (
	// AnnotationKind says what something is: see the Kind constants.
	AnnotationKind = "dev.slipway.bundle.kind"
	// AnnotationName is what something is called: NAME:VERSION of a package, the name of an image as objects have it, the tag of a
	// signature.
	AnnotationName = "dev.slipway.bundle.name"
	// annotationImage is where containerd looks for the name of an image.
	annotationImage = "io.containerd.image.name"
)

// What a bundle can have.
const (
	KindPackage   = "package"
	KindImage     = "image"
	KindSignature = "signature"
)

// Source is where manifests and blobs are copied from.
type Source interface {
	Manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	Blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error)
}

// Writer makes a bundle. What is in it twice is written once.
type Writer struct {
	out   *tar.Writer
	seen  map[v1.Hash]bool
	index v1.IndexManifest
}

// NewWriter begins a bundle. Close must be called at its end.
func NewWriter(w io.Writer) *Writer {
	return &Writer{
		out: tar.NewWriter(w), seen: map[v1.Hash]bool{},
		index: v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}},
	}
}

// Add copies a manifest with all that belongs to it, and lists it under a kind and a name.
func (w *Writer) Add(ctx context.Context, from Source, desc v1.Descriptor, kind, name string) error {
	if err := w.manifest(ctx, from, desc, 0); err != nil {
		return fmt.Errorf("add %s %s: %w", kind, name, err)
	}
	listed := v1.Descriptor{
		MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest, Annotations: map[string]string{AnnotationKind: kind, AnnotationName: name},
	}
	if kind == KindImage {
		listed.Annotations[annotationImage] = name
	}
	w.index.Manifests = append(w.index.Manifests, listed)
	return nil
}

// Has says whether a manifest is in the bundle already.
func (w *Writer) Has(digest v1.Hash) bool { return w.seen[digest] }

// Close writes the list of what is in the bundle. It doesn't close what the bundle is written to.
func (w *Writer) Close() error {
	list, err := json.Marshal(w.index)
	if err != nil {
		return fmt.Errorf("list the bundle: %w", err)
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{{layoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {indexFile, list}} {
		if err := w.file(file.name, int64(len(file.content)), bytes.NewReader(file.content)); err != nil {
			return err
		}
	}
	return w.out.Close()
}

// manifest copies a manifest, after what it names: whoever reads a part of a bundle finds no manifest without its blobs.
func (w *Writer) manifest(ctx context.Context, from Source, desc v1.Descriptor, depth int) error {
	if w.seen[desc.Digest] {
		return nil
	}
	raw, err := from.Manifest(ctx, desc.Digest)
	if err != nil {
		return err
	}
	named, err := parse(raw, desc.Digest)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%s: indexes are in each other more than %d deep", desc.Digest, maxDepth)
	}
	for _, m := range named.manifests {
		if err := w.manifest(ctx, from, m, depth+1); err != nil {
			return err
		}
	}
	for _, b := range named.blobs {
		if err := w.blob(ctx, from, b); err != nil {
			return err
		}
	}
	w.seen[desc.Digest] = true
	return w.file(blobName(desc.Digest), int64(len(raw)), bytes.NewReader(raw))
}

func (w *Writer) blob(ctx context.Context, from Source, desc v1.Descriptor) error {
	if w.seen[desc.Digest] {
		return nil
	}
	content, err := from.Blob(ctx, desc.Digest)
	if err != nil {
		return err
	}
	defer content.Close()
	w.seen[desc.Digest] = true
	checked := &checked{r: content, sum: sha256.New(), want: desc.Digest}
	if err := w.file(blobName(desc.Digest), desc.Size, checked); err != nil {
		return fmt.Errorf("copy %s: %w", desc.Digest, err)
	}
	return checked.end()
}

// file writes a file of a known size. Times and owners are left out, so that the same content makes the same bundle.
func (w *Writer) file(name string, size int64, content io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := w.out.WriteHeader(header); err != nil {
		return err
	}
	n, err := io.Copy(w.out, content)
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes instead of %d", n, size)
	}
	return err
}

// checked is a reader that knows whether it read what it should.
type checked struct {
	r   io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	want v1.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	_, _ = c.sum.Write(p[:n]) // A hash never fails.
	return n, err
}

func (c *checked) end() error {
	if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.want.Hex {
		return fmt.Errorf("%w: it is sha256:%s instead of %s", ErrDamaged, got, c.want)
	}
	return nil
}
