package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is a file or a folder of a layer.
type entry struct {
	path   string
	mode   int64
	owner  int
	folder bool
	data   []byte
}

func folder(path string, mode int64, owner int) entry {
	return entry{path: path, mode: mode, owner: owner, folder: true}
}

func text(path, content string) entry {
	return entry{path: path, mode: 0o444, data: []byte(content)}
}

// layerOf packs entries in their order. Times and names of owners are left out, so that the same entries give the same bytes.
func layerOf(entries []entry) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, e := range entries {
		header := &tar.Header{
			Name: strings.TrimPrefix(e.path, "/"), Mode: e.mode, Uid: e.owner, Gid: e.owner,
			ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Size: int64(len(e.data)), Format: tar.FormatPAX,
		}
		if e.folder {
			header.Name += "/"
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	// A layer is packed once and pulled over a loopback or a fast network; time counts for more than the last megabyte.
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
}
