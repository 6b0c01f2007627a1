package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// localGitDir finds the Git folder of a file:// URL: a bare repository, or the
// .git of a work tree.
func localGitDir(path string) (string, error) {
	for _, dir := range []string{filepath.Join(path, ".git"), path} {
		info, err := os.Stat(filepath.Join(dir, "objects"))
		if err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", transport.ErrRepositoryNotFound
}

// localRefs reads the references of a repository on this machine. Its objects
// are read where they are, nothing is fetched.
func localRefs(o *objects) (*advertised, error) {
	iter, err := o.storage.IterReferences()
	if err != nil {
		return nil, fmt.Errorf("read references: %w", err)
	}
	defer iter.Close()
	a := &advertised{refs: map[string]plumbing.Hash{}}
	err = iter.ForEach(func(r *plumbing.Reference) error {
		resolved, err := storer.ResolveReference(o.storage, r.Name())
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return nil // HEAD of an empty repository.
		}
		if err == nil {
			a.refs[r.Name().String()] = resolved.Hash()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read references: %w", err)
	}
	if len(a.refs) == 0 {
		return nil, transport.ErrEmptyRemoteRepository
	}
	return a, nil
}
