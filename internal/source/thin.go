package source

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // The checksum that Git's pack format prescribes.
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// complete makes a whole pack of a thin one. A server that knows what we have
// sends deltas against it; a pack on disk must hold the bases of its deltas. So
// they are added, and the object count and the checksum are written anew. See
// gitformat-pack(5).
func (p *pack) complete(f *os.File, here *objects) error {
	plumbing.HashesSort(p.bases)
	var added []byte
	count := p.objects
	for _, base := range slices.Compact(p.bases) {
		if !here.has(base) {
			continue // Then it is in the pack itself, or indexing says so.
		}
		t, content, err := here.read(base)
		if err != nil {
			return err
		}
		if added, err = appendObject(added, t, content); err != nil {
			return err
		}
		count++
	}
	if count == p.objects {
		return nil
	}
	return rewrite(f, count, added)
}

const packTrailer = sha1.Size

func rewrite(f *os.File, count int, added []byte) error {
	end, err := f.Seek(-packTrailer, io.SeekEnd)
	if err != nil {
		return storageError(err)
	}
	if _, err := f.WriteAt(added, end); err != nil {
		return storageError(err)
	}
	const countAt = 8
	if _, err := f.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(count)), countAt); err != nil { //nolint:gosec // Bounded by Limits.MaxObjects.
		return storageError(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return storageError(err)
	}
	sum := sha1.New() //nolint:gosec // As above.
	end += int64(len(added))
	if _, err := io.CopyN(sum, f, end); err != nil {
		return storageError(err)
	}
	if _, err := f.WriteAt(sum.Sum(nil), end); err != nil {
		return storageError(err)
	}
	return nil
}

// appendObject appends a whole object in a pack's encoding.
func appendObject(to []byte, t plumbing.ObjectType, content []byte) ([]byte, error) {
	size := len(content)
	head := byte(t)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		to = append(to, head|0x80)
		head = byte(size & 0x7f)
	}
	to = append(to, head)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress object: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress object: %w", err)
	}
	return append(to, z.Bytes()...), nil
}
