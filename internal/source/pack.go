package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// pack is a received, checked and indexed pack file that no mirror has yet.
type pack struct {
	file     string
	size     int64
	checksum plumbing.Hash
	objects  int
	bases    []plumbing.Hash      // what deltas refer to by name
	index    *idxfile.MemoryIndex // nil until indexObjects, or without objects
	tips     []plumbing.Hash
	shallow  []plumbing.Hash
}

// receivePack writes a pack to the store's tmp folder. Every object is looked at
// before anything is unpacked into memory, see inspectPack.
func (s *Store) receivePack(r io.Reader, lim Limits) (p *pack, err error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "pack-*")
	if err != nil {
		return nil, storageError(err)
	}
	p = &pack{file: f.Name()}
	defer func() {
		_ = f.Close()
		if err != nil {
			p.discard()
		}
	}()
	p.objects, p.bases, err = inspectPack(r, f, lim)
	return p, err
}

// indexObjects makes the pack fit to be read. Bases that deltas refer to by name
// are taken from what is here already.
func (p *pack) indexObjects(here *objects) error {
	if p.objects == 0 {
		return nil
	}
	f, err := os.OpenFile(p.file, os.O_RDWR, 0)
	if err != nil {
		return storageError(err)
	}
	defer f.Close()
	if err := p.complete(f, here); err != nil {
		return err
	}
	if p.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return storageError(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return storageError(err)
	}
	w := &idxfile.Writer{}
	parser, err := packfile.NewParser(packfile.NewScanner(f), w)
	if err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	p.checksum, err = parser.Parse()
	if errors.Is(err, packfile.ErrReferenceDeltaNotFound) {
		return fmt.Errorf("%w: %w", errMirror, err)
	}
	if err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	if p.index, err = w.Index(); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	return nil
}

// discard removes what install didn't take.
func (p *pack) discard() { _ = os.Remove(p.file) }

// inspectPack copies a pack to w and returns the number of its objects. It goes
// through the objects in constant memory, and fails as soon as one of them, or
// all together, would be larger than allowed once unpacked. A delta counts with
// the size it claims to unpack to, which the parser holds it to later.
func inspectPack(r io.Reader, w io.Writer, lim Limits) (objects int, bases []plumbing.Hash, err error) {
	sc := packfile.NewScanner(io.TeeReader(r, w))
	_, count, err := sc.Header()
	if err != nil {
		return 0, nil, fmt.Errorf("read pack: %w", err)
	}
	if int64(count) > int64(lim.MaxObjects) {
		return 0, nil, &LimitError{Limit: "MaxObjects", Value: int64(lim.MaxObjects), Got: int64(count), What: "the number of objects in the pack", Advice: advicePack}
	}
	var total int64
	for range count {
		h, err := sc.NextObjectHeader()
		if err != nil {
			return 0, nil, fmt.Errorf("read pack: %w", err)
		}
		size, err := inspectObject(sc, h, lim)
		if err != nil {
			return 0, nil, err
		}
		if h.Type == plumbing.REFDeltaObject {
			bases = append(bases, h.Reference)
		}
		if total += size; total > lim.MaxUnpackedBytes {
			return 0, nil, &LimitError{Limit: "MaxUnpackedBytes", Value: lim.MaxUnpackedBytes, What: "the pack, unpacked,", Advice: advicePack}
		}
	}
	if _, err := sc.Checksum(); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, fmt.Errorf("read pack: %w", err)
	}
	return int(count), bases, nil
}

func inspectObject(sc *packfile.Scanner, h *packfile.ObjectHeader, lim Limits) (int64, error) {
	tooLarge := func(size int64) error {
		return &LimitError{Limit: "MaxObjectBytes", Value: lim.MaxObjectBytes, Got: size, What: "a Git object", Advice: advicePack}
	}
	if h.Length > lim.MaxObjectBytes {
		return 0, tooLarge(h.Length)
	}
	head := &headWriter{}
	if _, _, err := sc.NextObject(head); err != nil {
		return 0, fmt.Errorf("read pack: %w", err)
	}
	if !h.Type.IsDelta() {
		return h.Length, nil
	}
	target, err := deltaTarget(head.buf)
	if err != nil {
		return 0, err
	}
	if target > lim.MaxObjectBytes {
		return 0, tooLarge(target)
	}
	return h.Length + target, nil
}

// headWriter keeps what a delta begins with: two sizes of at most 10 bytes each.
type headWriter struct{ buf []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	if n := 20 - len(w.buf); n > 0 {
		w.buf = append(w.buf, p[:min(n, len(p))]...)
	}
	return len(p), nil
}

var errDelta = errors.New("read pack: malformed delta")

// deltaTarget reads the size of the object that a delta makes.
func deltaTarget(head []byte) (int64, error) {
	_, rest, err := deltaSize(head)
	if err != nil {
		return 0, err
	}
	target, _, err := deltaSize(rest)
	return target, err
}

func deltaSize(b []byte) (size int64, rest []byte, err error) {
	for i := 0; i < len(b) && i < 9; i++ {
		size |= int64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return size, b[i+1:], nil
		}
	}
	return 0, nil, errDelta
}
