package source

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	gohash "hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Download is a file that was received in whole and is not looked into yet. It
// is on disk, in the store's tmp folder, until Discard.
type Download struct {
	store  *Store
	limits Limits
	file   string
	digest string
	size   int64
	strict bool // how Unpack reads it
}

// ErrDigest tells that what was received is not what was asked for.
var ErrDigest = errors.New("the content doesn't have the expected digest")

// Receive takes all of r, at most Limits.MaxPackBytes, and checks it against the
// digest "ALGORITHM:<hex>" (sha256, sha384 or sha512); empty checks nothing.
// Errors are *[Error] except for those of r and ctx.
func (s *Store) Receive(ctx context.Context, r io.Reader, digest string, limits Limits) (_ *Download, err error) {
	limits = limits.withDefaults()
	wanted, err := parseDigest(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "download-*")
	if err != nil {
		return nil, storageError(err)
	}
	d := &Download{store: s, limits: limits, file: f.Name()}
	defer func() {
		if err != nil {
			d.Discard()
		}
	}()
	sum := sha256.New()
	disk := &diskWriter{w: f}
	d.size, err = io.Copy(io.MultiWriter(disk, sum, wanted), &meter{
		r: contextReader{ctx, r}, left: limits.MaxPackBytes,
		err: &LimitError{Limit: "MaxPackBytes", Value: limits.MaxPackBytes, What: "what the server sends", Advice: adviceArchive},
	})
	closed := f.Close()
	var limit *LimitError
	switch {
	case errors.As(err, &limit):
		return nil, limited(limit)
	case disk.err != nil:
		return nil, storageError(disk.err)
	case err != nil:
		return nil, err
	case closed != nil:
		return nil, storageError(closed)
	}
	if err := wanted.check(); err != nil {
		return nil, err
	}
	d.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return d, nil
}

// Digest is the "sha256:<64 hex>" of what was received.
func (d *Download) Digest() string { return d.digest }

// Size is the number of bytes that were received.
func (d *Download) Size() int64 { return d.size }

// Open reads what was received from its beginning.
func (d *Download) Open() (*os.File, error) {
	f, err := os.Open(d.file)
	if err != nil {
		return nil, storageError(err)
	}
	return f, nil
}

// Discard removes the file.
func (d *Download) Discard() { _ = os.Remove(d.file) } // What stays goes when the store is opened next.

// expectation is a digest that is being compared with what is written to it.
type expectation struct {
	gohash.Hash
	want string
}

func parseDigest(digest string) (*expectation, error) {
	algorithm, want, _ := strings.Cut(digest, ":")
	e := &expectation{want: strings.ToLower(want)}
	switch algorithm {
	case "", "sha256":
		e.Hash = sha256.New()
	case "sha384":
		e.Hash = sha512.New384()
	case "sha512":
		e.Hash = sha512.New()
	default:
		return nil, failf(ReasonContentInvalid, "digest %s: only sha256, sha384 and sha512 are known here: have the artifact stored with one of them", shorten(digest))
	}
	if raw, err := hex.DecodeString(e.want); digest != "" && (err != nil || len(raw) != e.Size()) {
		return nil, failf(ReasonContentInvalid, "digest %s is not a %s in hexadecimal: correct it", shorten(digest), algorithm)
	}
	return e, nil
}

func (e *expectation) check() error {
	if got := hex.EncodeToString(e.Sum(nil)); e.want != "" && got != e.want {
		return failf(ReasonContentInvalid, "%w: it is %s instead of %s: the server sends something else than it announced, or something on the way changes it", ErrDigest, got, e.want)
	}
	return nil
}

// diskWriter remembers its error, to tell it from the reader's.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		d.err = err
	}
	return n, err
}

// contextReader stops between two reads when its context has ended.
type contextReader struct {
	ctx context.Context //nolint:containedctx // The life of one Receive.
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, fmt.Errorf("receive: %w", err)
	}
	return c.r.Read(p)
}
