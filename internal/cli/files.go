package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
)

// files are what a Kustomization is built from.
type files struct {
	fs       fs.FS
	path     string // the folder in fs to build
	revision string // of the source; "" for a working copy
	close    func()
}

// filesFor opens the working copy at path, or fetches what the source of ks has.
func (a *App) filesFor(ctx context.Context, c *cluster, ks *kustomizev1.Kustomization, path string) (files, error) {
	if path != "" {
		return workingCopy(path, ks.Spec.Path)
	}
	artifact, err := c.artifactOf(ctx, ks)
	if err != nil {
		return files{}, err
	}
	a.progressf("fetching %s", artifact.Revision)
	dir, err := os.MkdirTemp("", "slipway-diff-")
	if err != nil {
		return files{}, fmt.Errorf("make a folder for the source: %w", err)
	}
	remove := func() { _ = os.RemoveAll(dir) } // a temporary folder; the system removes what is left
	if err := c.fetchArtifact(ctx, artifact, dir); err != nil {
		remove()
		return files{}, fmt.Errorf("fetch what the source has: %w\nWith --path DIR a working copy is built instead", err)
	}
	return files{fs: os.DirFS(dir), path: ks.Spec.Path, revision: artifact.Revision, close: remove}, nil
}

// workingCopy finds out what is to be built for a folder on disk. A folder deep in a repository is built itself; the tree is the
// whole repository then, for what it refers to above itself.
func workingCopy(path, specPath string) (files, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return files{}, fmt.Errorf("open %s: %w", path, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return files{}, fmt.Errorf("open %s: %w", path, err)
	}
	root, inside := repositoryAbove(dir)
	if inside && root != dir {
		within, err := filepath.Rel(root, dir)
		if err != nil {
			return files{}, fmt.Errorf("open %s: %w", path, err)
		}
		return files{fs: os.DirFS(root), path: filepath.ToSlash(within), close: func() {}}, nil
	}
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(specPath))); err != nil {
		return files{}, fmt.Errorf("%s has no folder %q, which spec.path names; give the root of the repository, or a folder in a Git working copy",
			path, specPath)
	}
	return files{fs: os.DirFS(dir), path: specPath, close: func() {}}, nil
}

// repositoryAbove returns the Git working copy that dir is in.
func repositoryAbove(dir string) (root string, found bool) {
	for {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dir, true
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", false
		}
		dir = above
	}
}

// artifactOf returns what the source of ks has fetched.
func (c *cluster) artifactOf(ctx context.Context, ks *kustomizev1.Kustomization) (*meta.Artifact, error) {
	ref := ks.Spec.SourceRef
	k, ok := kindOf(ref.Kind)
	if !ok || k.sourceAs == "" {
		return nil, fmt.Errorf("the source of Kustomization %q is a %s, which can't be fetched here; build a working copy with --path DIR",
			ks.Name, ref.Kind)
	}
	obj, err := c.get(ctx, k, cmp.Or(ref.Namespace, ks.Namespace), ref.Name)
	if err != nil {
		return nil, err
	}
	source, ok := obj.(interface{ GetArtifact() *meta.Artifact })
	if !ok || source.GetArtifact() == nil {
		return nil, errors.New("the source has fetched nothing yet; 'slipway get sources' says why, and --path DIR builds a working copy")
	}
	return source.GetArtifact(), nil
}
