package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
)

// UnpackOptions say what becomes of an archive. The zero value keeps what a
// GitRepository without spec.ignore would keep.
type UnpackOptions struct {
	// Revision is the snapshot's.
	Revision string
	// Ignore is spec.ignore; nil means the defaults and .sourceignore files.
	Ignore *string
	// KeepAll leaves ignore rules out altogether.
	KeepAll bool
	// Strict refuses what no tool that builds artifacts makes: a path that is
	// there twice, a link that leads out of the tree, and an archive that unpacks
	// to far more than it has (see maxRatio).
	Strict bool
}

// Unpack makes a snapshot of a tar archive, gzipped or not. Directories, times
// and owners are nothing to it. Links are kept as in a Git tree; hard links,
// devices and pipes are refused, and so is a path that leads out of the tree.
// The archive is read twice: nothing is stored of what rules leave out.
// Errors are *[Error], or ctx's.
func (d *Download) Unpack(ctx context.Context, opts UnpackOptions) (*Snapshot, error) {
	excluded := func(string) bool { return false }
	d.strict = opts.Strict
	if !opts.KeepAll {
		filter := NewFilter(opts.Ignore)
		if err := d.each(ctx, filter.scan(d.limits)); err != nil {
			return nil, err
		}
		var err error
		if excluded, err = filter.Excludes(); err != nil {
			return nil, err
		}
	}
	draft := d.store.NewDraft(d.limits)
	defer draft.Discard()
	seen := map[string]bool{}
	err := d.each(ctx, func(h *tar.Header, content io.Reader) error {
		name, err := cleanPath(h.Name)
		switch {
		case err != nil:
			return err
		case opts.Strict:
			if err := refuseDisguise(h, name, seen); err != nil {
				return err
			}
		}
		switch {
		case excluded(name):
			return nil
		case h.Typeflag == tar.TypeSymlink:
			return draft.Link(name, h.Linkname)
		}
		if h.Size > d.limits.MaxFileBytes {
			return limited(&LimitError{Limit: "MaxFileBytes", Value: d.limits.MaxFileBytes, Got: h.Size, What: shorten(name), Advice: adviceIgnore})
		}
		return draft.File(ctx, name, h.FileInfo().Mode(), "", content)
	})
	if err != nil {
		return nil, err
	}
	snap, err := draft.Snapshot(opts.Revision)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// each calls visit for every file and symbolic link of the archive.
func (d *Download) each(ctx context.Context, visit func(*tar.Header, io.Reader) error) error {
	f, err := d.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := unzipped(f)
	if err != nil {
		return err
	}
	plain = &meter{r: plain, left: d.limits.MaxUnpackedBytes, err: &LimitError{
		Limit: "MaxUnpackedBytes", Value: d.limits.MaxUnpackedBytes, What: "the unpacked archive", Advice: adviceArchive,
	}}
	if most := max(d.size*maxRatio, freeRatio); d.strict && most < d.limits.MaxUnpackedBytes {
		plain = &meter{r: plain, left: most, err: &LimitError{
			Limit: "compression ratio", Value: maxRatio, What: "the unpacked archive", Advice: "it looks like a bomb: build it again without files that are all the same byte",
		}}
	}
	archive := tar.NewReader(plain)
	for seen := 0; ; seen++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The checksum of the compression comes after the end of the archive.
			if _, err = io.Copy(io.Discard, plain); err == nil {
				return nil
			}
		} else if err == nil {
			err = d.visit(header, archive, seen, visit)
		}
		if err != nil {
			return archiveError(err)
		}
	}
}

func (d *Download) visit(h *tar.Header, content io.Reader, seen int, visit func(*tar.Header, io.Reader) error) error {
	if most := d.limits.MaxFiles * entriesPerFile; seen >= most {
		return &LimitError{Limit: "MaxFiles*10", Value: int64(most), What: "the number of files and directories, the ignored ones included,", Advice: "split the archive, or raise the limit on the agent"}
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeSymlink:
		return visit(h, content)
	}
	return failf(ReasonContentInvalid, "%s is neither a file nor a directory nor a symbolic link: build the archive without it", shorten(h.Name))
}

// What an archive may unpack to, if it must be strict: so many times its size,
// or that many bytes in any case. Manifests are seldom compressed to less than a
// thirtieth; gzip can reach a thousandth.
const (
	maxRatio  = 200
	freeRatio = 64 << 20
)

// refuseDisguise refuses entries that mean one thing to one reader and another thing to the next.
func refuseDisguise(h *tar.Header, name string, seen map[string]bool) error {
	if seen[name] {
		return failf(ReasonContentInvalid, "%s is in the archive twice: build it again with each file once", shorten(name))
	}
	seen[name] = true
	if h.Typeflag != tar.TypeSymlink {
		return nil
	}
	if target := path.Join(path.Dir(name), h.Linkname); path.IsAbs(h.Linkname) || target == ".." || strings.HasPrefix(target, "../") {
		return failf(ReasonContentInvalid, "%w: %s leads to %s: build the archive without it", ErrEscapes, shorten(name), shorten(h.Linkname))
	}
	return nil
}

// archiveError gives what the archive is to blame for its reason.
func archiveError(err error) error {
	var (
		typed *Error
		limit *LimitError
	)
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &limit):
		return limited(limit)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return failf(ReasonContentInvalid, "the archive can't be read: %w: build and push it again", quote(err, nil))
}

// unzipped looks at the first bytes: a media type or a name may lie.
func unzipped(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	magic, err := in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, storageError(err)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, failf(ReasonContentInvalid, "the archive is compressed with zstd: push it with gzip")
	case !bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, archiveError(err)
	}
	return z, nil
}

// Filter applies ignore rules as the tree of a Git repository has them: those of
// .sourceignore files, each for its own directory, then spec.ignore. Where there
// is neither, images, archives and CI files are left out.
type Filter struct {
	spec  *string
	bare  bool
	files []ignoreText
}

type ignoreText struct {
	name string
	text []byte
}

// NewFilter returns a filter with the rules of spec.ignore, nil if there is none.
func NewFilter(spec *string) *Filter { return &Filter{spec: spec} }

// NewBareFilter is NewFilter without any rules of its own: what neither the spec
// nor a file leaves out is kept.
func NewBareFilter(spec *string) *Filter { return &Filter{spec: spec, bare: true} }

// Read adds the rules of the .sourceignore file at a path.
func (f *Filter) Read(name string, text []byte) {
	f.files = append(f.files, ignoreText{name: name, text: text})
}

// IsIgnoreFile tells whether a path is that of a file with rules.
func IsIgnoreFile(name string) bool { return path.Base(name) == ignoreFile }

// Excludes returns a function that tells whether a file is left out. Errors are
// *[Error]: rules that are too long or too many.
func (f *Filter) Excludes() (func(name string) bool, error) {
	var rules ignoreRules
	slices.SortFunc(f.files, func(a, b ignoreText) int { // deeper rules come later, so they count more
		return cmp.Or(cmp.Compare(strings.Count(a.name, "/"), strings.Count(b.name, "/")), cmp.Compare(a.name, b.name))
	})
	for _, file := range f.files {
		parts := strings.Split(file.name, "/")
		if err := rules.add(file.text, parts[:len(parts)-1], file.name); err != nil {
			return nil, archiveError(err)
		}
	}
	if f.spec != nil {
		if err := rules.add([]byte(*f.spec), nil, "spec.ignore"); err != nil {
			return nil, archiveError(err)
		}
	}
	matcher := rules.matcher()
	if f.bare {
		matcher = sourceignore.NewMatcher(rules.patterns)
	}
	return func(name string) bool { return matcher.Match(strings.Split(name, "/"), false) }, nil
}

// scan reads the rules that an archive brings.
func (f *Filter) scan(limits Limits) func(*tar.Header, io.Reader) error {
	var total int64
	return func(h *tar.Header, content io.Reader) error {
		name, err := cleanPath(h.Name)
		if err != nil || h.Typeflag != tar.TypeReg || !IsIgnoreFile(name) {
			return err
		}
		// All of them together: they are in memory until the archive was seen to its end.
		if total += h.Size; total > maxIgnoreFileBytes || len(f.files) > limits.MaxFiles {
			return &LimitError{Limit: "ignore rules", Value: maxIgnoreFileBytes, Got: h.Size, What: shorten(name), Advice: "use fewer, wider patterns"}
		}
		text, err := io.ReadAll(content)
		if err != nil {
			return fmt.Errorf("read %s: %w", shorten(name), err)
		}
		f.Read(name, text)
		return nil
	}
}
