package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/history"
	gitsource "github.com/slipway-dev/slipway/internal/source"
)

// historyFolder is where mirrors are kept.
func historyFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder to keep it in: %w", err)
	}
	return filepath.Join(cache, "slipway", "history"), nil
}

// freshMirror fetches all branches of a repository, as the person or with the source's Secret.
func (a *App) freshMirror(ctx context.Context, c *cluster, address string, secret client.ObjectKey) (*history.Repository, error) {
	cache, err := historyFolder()
	if err != nil {
		return nil, err
	}
	a.waitf("fetching %s", withoutUser(address))
	return a.mirror(ctx, c, cache, "", upstream{address: address, secret: secret})
}

// checkoutBranch reads a branch of a repository on this machine as the agent would: what the source ignores is left out. A branch that is
// only known from a remote is found, too.
func checkoutBranch(ctx context.Context, dir, branch string, ignore *string) (files, error) {
	from, err := checkoutRef(ctx, dir, &sourcev1.GitRepositoryRef{Branch: branch}, ignore)
	if err == nil || ctx.Err() != nil {
		return from, err
	}
	if remote, remoteErr := checkoutRef(ctx, dir, &sourcev1.GitRepositoryRef{Name: "refs/remotes/origin/" + branch}, ignore); remoteErr == nil {
		return remote, nil
	}
	return files{}, fmt.Errorf("read branch %q of %s: %w", branch, dir, err)
}

// checkoutCommit reads a commit of a repository on this machine.
func checkoutCommit(ctx context.Context, dir, commit string, ignore *string) (files, error) {
	return checkoutRef(ctx, dir, &sourcev1.GitRepositoryRef{Commit: commit}, ignore)
}

func checkoutRef(ctx context.Context, dir string, ref *sourcev1.GitRepositoryRef, ignore *string) (files, error) {
	top, err := gitTop(dir)
	if err != nil {
		return files{}, err
	}
	folder, err := os.MkdirTemp("", "slipway-branch-")
	if err != nil {
		return files{}, fmt.Errorf("make a folder for the branch: %w", err)
	}
	remove := func() { _ = os.RemoveAll(folder) } // a temporary folder; the system removes what is left
	store, err := gitsource.NewStore(folder)
	if err != nil {
		remove()
		return files{}, err
	}
	git := gitsource.NewGit(store, gitsource.AllowFile())
	defer git.Close()
	snapshot, err := git.Fetch(ctx, gitsource.GitRequest{URL: "file://" + filepath.ToSlash(top), Ref: ref, Ignore: ignore}, "")
	if err != nil {
		remove()
		return files{}, err
	}
	return files{fs: snapshot.FS(), revision: snapshot.Revision(), close: remove}, nil
}

// gitTop is the top of the repository that dir is in; a bare one is its own.
func gitTop(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, err)
	}
	if top, ok := repositoryAbove(absolute); ok {
		return top, nil
	}
	return absolute, nil
}

// wholeWorkingCopy opens a working copy from its top.
func wholeWorkingCopy(path string) (files, error) {
	top, err := gitTop(path)
	if err != nil {
		return files{}, err
	}
	if _, err := os.Stat(top); err != nil {
		return files{}, fmt.Errorf("open the working copy: %w", err)
	}
	return files{fs: os.DirFS(top), close: func() {}}, nil
}
