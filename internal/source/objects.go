package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// objects reads Git objects from a folder. Each one is checked against its hash.
type objects struct {
	storage *filesystem.Storage
	limit   int64
}

const objectCacheBytes = 16 << 20

// openObjects doesn't ask for exclusive access: the library then takes a packed
// object for a missing one (HasEncodedObject, v5.19).
func openObjects(gitDir string, lim Limits) *objects {
	return &objects{
		storage: filesystem.NewStorageWithOptions(osfs.New(gitDir), cache.NewObjectLRU(objectCacheBytes), filesystem.Options{KeepDescriptors: true}),
		limit:   lim.MaxObjectBytes,
	}
}

func (o *objects) close() { _ = o.storage.Close() } // Only read from.

func (o *objects) has(h plumbing.Hash) bool { return o.storage.HasEncodedObject(h) == nil }

// size is that of the unpacked object.
func (o *objects) size(h plumbing.Hash) (int64, error) {
	size, err := o.storage.EncodedObjectSize(h)
	if err == nil {
		return size, nil
	}
	// An alternate is only looked at for the object itself.
	obj, err := o.storage.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return 0, fmt.Errorf("%w: object %s: %w", errMirror, h, err)
	}
	return obj.Size(), nil
}

// read returns an object's type and content.
func (o *objects) read(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	size, err := o.size(h)
	if err != nil {
		return 0, nil, err
	}
	if size > o.limit {
		return 0, nil, &LimitError{Limit: "MaxObjectBytes", Value: o.limit, Got: size, What: "the Git object " + h.String(), Advice: advicePack}
	}
	obj, err := o.storage.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: object %s: %w", errMirror, h, err)
	}
	r, err := obj.Reader()
	if err != nil {
		return 0, nil, fmt.Errorf("%w: object %s: %w", errMirror, h, err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: object %s: %w", errMirror, h, err)
	}
	if plumbing.ComputeHash(obj.Type(), content) != h {
		return 0, nil, fmt.Errorf("%w: object %s isn't what its name says", errMirror, h)
	}
	return obj.Type(), content, nil
}

func (o *objects) typed(want plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	t, content, err := o.read(h)
	if err == nil && t != want {
		err = failf(ReasonGitOperationFailed, "object %s is a %s, not a %s", h, t, want)
	}
	return content, err
}

// maxPeel bounds tags of tags.
const maxPeel = 10

// peel follows annotated tags to their commit.
func (o *objects) peel(h plumbing.Hash) (plumbing.Hash, error) {
	for range maxPeel {
		t, content, err := o.read(h)
		if err != nil {
			return h, err
		}
		switch t {
		case plumbing.CommitObject:
			return h, nil
		case plumbing.TagObject:
			target, ok := strings.CutPrefix(strings.SplitN(string(content), "\n", 2)[0], "object ")
			if !ok || !plumbing.IsHash(target) {
				return h, failf(ReasonGitOperationFailed, "tag object %s is malformed: push the tag again", h)
			}
			h = plumbing.NewHash(target)
		default:
			return h, failf(ReasonGitOperationFailed, "spec.ref leads to a %s, not to a commit: choose another revision", t)
		}
	}
	return h, failf(ReasonGitOperationFailed, "spec.ref leads through more than %d tags: choose another revision", maxPeel)
}

func (o *objects) commit(h plumbing.Hash) (*object.Commit, error) {
	content, err := o.typed(plumbing.CommitObject, h)
	if err != nil {
		return nil, err
	}
	obj := &plumbing.MemoryObject{}
	obj.SetType(plumbing.CommitObject)
	if _, err := obj.Write(content); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", h, err)
	}
	c := &object.Commit{}
	if err := c.Decode(obj); err != nil {
		return nil, failf(ReasonGitOperationFailed, "commit %s is malformed: %w", h, err)
	}
	return c, nil
}

// describe takes from a commit what is worth showing.
func describe(c *object.Commit) Commit {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	if r := []rune(subject); len(r) > 200 {
		subject = string(r[:200])
	}
	return Commit{
		Hash:    c.Hash.String(),
		Author:  printable(fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email)),
		Subject: printable(subject),
		Time:    c.Committer.When.UTC(),
	}
}

// reaches reports whether commit is in the history of one of the tips, as far
// as it is here.
func (o *objects) reaches(ctx context.Context, tips []plumbing.Hash, commit plumbing.Hash) (bool, error) {
	if !o.has(commit) {
		return false, nil
	}
	seen := map[plumbing.Hash]bool{}
	for todo := tips; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if next == commit {
			return true, nil
		}
		if seen[next] || !o.has(next) {
			continue
		}
		seen[next] = true
		if err := ctx.Err(); err != nil {
			return false, err
		}
		parents, err := o.parents(next)
		if err != nil {
			return false, err
		}
		todo = append(todo, parents...)
	}
	return false, nil
}

// parents are where history goes on from a commit or a tag.
func (o *objects) parents(h plumbing.Hash) ([]plumbing.Hash, error) {
	c, err := o.peel(h)
	var typed *Error
	if errors.As(err, &typed) {
		return nil, nil // A tag of a tree or a blob: no history.
	}
	if err != nil || c != h {
		return []plumbing.Hash{c}, err
	}
	commit, err := o.commit(h)
	if err != nil {
		return nil, err
	}
	return commit.ParentHashes, nil
}
