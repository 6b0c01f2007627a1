package source

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// sparse is spec.sparseCheckout: the directories that are taken. Empty, it takes everything.
type sparse []*sparseDir

type sparseDir struct {
	parts []string
	seen  bool
}

// newSparse cleans the paths. Their order and repetitions make no difference.
func newSparse(dirs []string) (sparse, error) {
	var clean []string
	for _, dir := range dirs {
		c, err := insidePath(dir)
		if err != nil {
			return nil, failf(ReasonPathInvalid, "spec.sparseCheckout: %s leads out of the repository: write the path of a directory in it", shorten(dir))
		}
		if c == "." {
			return nil, nil
		}
		clean = append(clean, c)
	}
	slices.Sort(clean)
	var s sparse
	for _, dir := range slices.Compact(clean) {
		s = append(s, &sparseDir{parts: strings.Split(dir, "/")})
	}
	return s, nil
}

// insidePath cleans a path of a spec. The root, which may be written as "", ".", "./" or "/", comes out as ".".
func insidePath(p string) (string, error) {
	if slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsRune(p, 0) {
		return "", ErrEscapes
	}
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+p), "/"), "."), nil
}

// has reports whether a file or directory is one that is taken, or below one.
func (s sparse) has(parts []string) bool {
	found := len(s) == 0
	for _, d := range s {
		if len(parts) >= len(d.parts) && slices.Equal(parts[:len(d.parts)], d.parts) {
			d.seen, found = true, true
		}
	}
	return found
}

// leadsTo reports whether something that is taken is at or below a directory, or above it.
func (s sparse) leadsTo(dir []string) bool {
	return s.has(dir) || slices.ContainsFunc(s, func(d *sparseDir) bool {
		return len(dir) < len(d.parts) && slices.Equal(d.parts[:len(dir)], dir)
	})
}

// complete fails if a directory wasn't there.
func (s sparse) complete() error {
	for _, d := range s {
		if !d.seen {
			return failf(ReasonGitOperationFailed, "spec.sparseCheckout: this revision has no %s: correct the path, or choose a revision that has it", shorten(strings.Join(d.parts, "/")))
		}
	}
	return nil
}

// fresh is the same selection with nothing seen yet.
func (s sparse) fresh() sparse {
	out := make(sparse, len(s))
	for i, d := range s {
		out[i] = &sparseDir{parts: d.parts}
	}
	return out
}

func (s sparse) key() string {
	var dirs []string
	for _, d := range s {
		dirs = append(dirs, strings.Join(d.parts, "/"))
	}
	return strings.Join(dirs, "\x00")
}
