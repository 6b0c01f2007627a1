package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Item is what a bundle lists.
type Item struct {
	v1.Descriptor

	// Kind is one of the Kind constants.
	Kind string
	// Name of it: see AnnotationName.
	Name string
}

// Bundle is a file that was opened. It is a [Source].
type Bundle struct {
	file  io.ReaderAt
	blobs map[v1.Hash]section
	items []Item
}

// section is where a blob is in the file.
type section struct{ offset, size int64 }

// Open reads what is in a bundle, and nothing of the content. Whatever isn't a bundle is refused: other names than those of a layout,
// links, what is there twice or not at all.
func Open(file io.ReaderAt, size int64) (*Bundle, error) {
	b := &Bundle{file: file, blobs: map[v1.Hash]section{}}
	position := &counting{r: io.NewSectionReader(file, 0, size)}
	var index []byte
	seen := map[string]bool{}
	for archive, n := tar.NewReader(position), 0; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n >= maxEntries {
			return nil, fmt.Errorf("%w: it is no tar archive that can be read", ErrDamaged)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		name := strings.TrimPrefix(header.Name, "./")
		if header.Typeflag != tar.TypeReg || seen[name] {
			return nil, fmt.Errorf("%w: %.100q is there twice, or is no file", ErrDamaged, name)
		}
		seen[name] = true
		hash, isBlob := strings.CutPrefix(name, blobFolder)
		switch {
		case isBlob && isHash(hash):
			b.blobs[v1.Hash{Algorithm: "sha256", Hex: hash}] = section{position.n, header.Size}
		case name == indexFile && header.Size <= maxManifest:
			if index, err = io.ReadAll(archive); err != nil {
				return nil, fmt.Errorf("%w: its list can't be read", ErrDamaged)
			}
		case name == layoutFile:
		default:
			return nil, fmt.Errorf("%.100q doesn't belong into a bundle: it is an image layout with blobs of sha256 only", name)
		}
	}
	if !seen[layoutFile] || index == nil {
		return nil, errors.New("it is no bundle: there is no oci-layout or no index.json in it. 'slipway package build' and 'slipway package bundle' write them")
	}
	return b, b.list(index)
}

func isHash(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(text) == text
}

func (b *Bundle) list(raw []byte) error {
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("%w: its list can't be read", ErrDamaged)
	}
	for _, m := range index.Manifests {
		if _, ok := b.blobs[m.Digest]; !ok {
			return fmt.Errorf("%w: it lists %s and doesn't have it", ErrDamaged, m.Digest)
		}
		b.items = append(b.items, Item{Descriptor: m, Kind: m.Annotations[AnnotationKind], Name: m.Annotations[AnnotationName]})
	}
	return nil
}

// Items are all that the bundle lists, in its order.
func (b *Bundle) Items() []Item { return b.items }

// Manifest reads a manifest or an index.
func (b *Bundle) Manifest(_ context.Context, digest v1.Hash) ([]byte, error) {
	at, ok := b.blobs[digest]
	if !ok || at.size > maxManifest {
		return nil, fmt.Errorf("%w: there is no manifest %s", ErrDamaged, digest)
	}
	raw := make([]byte, at.size)
	if _, err := io.ReadFull(io.NewSectionReader(b.file, at.offset, at.size), raw); err != nil {
		return nil, fmt.Errorf("%w: %s can't be read", ErrDamaged, digest)
	}
	if _, err := parse(raw, digest); err != nil {
		return nil, err
	}
	return raw, nil
}

// Blob reads a blob; its reader fails at the end if it isn't what its digest says.
func (b *Bundle) Blob(_ context.Context, digest v1.Hash) (io.ReadCloser, error) {
	at, ok := b.blobs[digest]
	if !ok {
		return nil, fmt.Errorf("%w: there is no blob %s", ErrDamaged, digest)
	}
	return io.NopCloser(&ending{&checked{r: io.NewSectionReader(b.file, at.offset, at.size), sum: sha256.New(), want: digest}}), nil
}

// ending fails where a checked reader ends with something else than it should.
type ending struct{ *checked }

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.checked.Read(p)
	if errors.Is(err, io.EOF) {
		if wrong := e.end(); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}

// counting knows how far it was read.
type counting struct {
	r *io.SectionReader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Seek lets the tar reader skip what it needn't read.
func (c *counting) Seek(offset int64, whence int) (int64, error) {
	n, err := c.r.Seek(offset, whence)
	if err == nil {
		c.n = n
	}
	return n, err
}

var _ Source = (*Bundle)(nil)

// readAll is for what is small.
func readAll(r io.ReadCloser) ([]byte, error) {
	defer r.Close()
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(r, maxManifest+1)); err != nil {
		return nil, err
	}
	if out.Len() > maxManifest {
		return nil, fmt.Errorf("%w: a configuration has more than %d bytes", ErrDamaged, maxManifest)
	}
	return out.Bytes(), nil
}
