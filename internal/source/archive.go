package source

import (
	"archive/tar"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// writeArchive writes the tar.gz of a tree. The bytes depend on the tree alone:
// entries in order, no times, no owners, stored instead of compressed.
//
// Links are left out, as Flux's source-controller leaves them out: its
// consumers refuse an archive that has one. They still count for the digest,
// because the gzip header names the hash of the whole tree.
func writeArchive(w io.Writer, root *node, store *Store) error {
	z, err := newStoredGzip(w, fmt.Sprintf("tree sha256:%x", root.sum))
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	t := tar.NewWriter(z)
	err = root.walk(func(n *node) error {
		if n.kind == kindLink {
			return nil
		}
		content, err := store.readBlob(n.sum, n.size)
		if err != nil {
			return fmt.Errorf("archive %s: %w", n.path, err)
		}
		mode := int64(0o644)
		if n.kind == kindExec {
			mode = 0o755
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: n.path, Size: n.size, Mode: mode, ModTime: time.Unix(0, 0)}); err != nil {
			return fmt.Errorf("archive %s: %w", n.path, err)
		}
		_, err = t.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return z.close()
}

// storedGzip frames data as gzip (RFC 1952) with stored blocks (RFC 1951,
// 3.2.4). Unlike compress/gzip it gives the same bytes with every Go version.
type storedGzip struct {
	w    io.Writer
	crc  uint32
	size uint32
	buf  []byte
}

const maxStored = 65535

func newStoredGzip(w io.Writer, comment string) (*storedGzip, error) {
	const hasComment, unknownSystem = 0x10, 255
	header := append([]byte{0x1f, 0x8b, 8, hasComment, 0, 0, 0, 0, 0, unknownSystem}, comment...)
	_, err := w.Write(append(header, 0))
	return &storedGzip{w: w, buf: make([]byte, 0, maxStored)}, err
}

func (z *storedGzip) Write(p []byte) (int, error) {
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p)
	z.size += uint32(len(p)) //nolint:gosec // The format wants it modulo 2^32.
	written := len(p)
	for len(p) > 0 {
		if len(z.buf) == maxStored {
			if err := z.flush(0); err != nil {
				return 0, err
			}
		}
		n := min(len(p), maxStored-len(z.buf))
		z.buf = append(z.buf, p[:n]...)
		p = p[n:]
	}
	return written, nil
}

func (z *storedGzip) flush(final byte) error {
	size := uint16(len(z.buf)) //nolint:gosec // At most maxStored.
	block := binary.LittleEndian.AppendUint16([]byte{final}, size)
	block = binary.LittleEndian.AppendUint16(block, ^size)
	if _, err := z.w.Write(block); err != nil {
		return err
	}
	_, err := z.w.Write(z.buf)
	z.buf = z.buf[:0]
	return err
}

func (z *storedGzip) close() error {
	if err := z.flush(1); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	trailer := binary.LittleEndian.AppendUint32(nil, z.crc)
	if _, err := z.w.Write(binary.LittleEndian.AppendUint32(trailer, z.size)); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}
