package history

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ErrShallow says that the history doesn't go back far enough to tell who wrote a line.
var ErrShallow = errors.New("the history here is shallow; 'git fetch --unshallow' brings the rest")

// Blame returns the commit that has written a line of a file, as the file is at commit. Lines count from 1. The work is done once for a
// file.
func (r *Repository) Blame(commit, file string, line int) (Commit, error) {
	key := commit + "\x00" + file
	result := r.blamed[key]
	if result == nil {
		at, err := r.commit(commit)
		if err != nil {
			return Commit{}, err
		}
		if result, err = git.Blame(at, file); err != nil {
			if r.isShallow() && errors.Is(err, plumbing.ErrObjectNotFound) {
				return Commit{}, ErrShallow
			}
			if errors.Is(err, object.ErrFileNotFound) {
				return Commit{}, fmt.Errorf("commit %.10s has no file %s", commit, file)
			}
			return Commit{}, fmt.Errorf("look who wrote %s: %w", file, err)
		}
		r.blamed[key] = result
	}
	if line < 1 || line > len(result.Lines) {
		return Commit{}, fmt.Errorf("%s has no line %d at commit %.10s", file, line, commit)
	}
	return r.Read(result.Lines[line-1].Hash.String())
}

func subject(message string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	return strings.TrimSpace(first)
}
