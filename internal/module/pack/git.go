package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source"
)

func missingRevision(err error) bool { return errors.Is(err, source.ErrRevisionNotFound) }

// gitVersions lists the tags that are versions.
func (f *Fetcher) gitVersions(ctx context.Context, from v1alpha1.GitSource, credentials Credentials) ([]Available, error) {
	tags, err := f.gitTags(ctx, from, credentials)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(tags))
	for _, tag := range tags {
		if name, ok := strings.CutPrefix(tag, from.TagPrefix); ok {
			names = append(names, name)
		}
	}
	return available(names), nil
}

func (f *Fetcher) gitTags(ctx context.Context, from v1alpha1.GitSource, credentials Credentials) ([]string, error) {
	auth, err := source.AuthFromSecret(credentials.Secret, from.URL)
	if err != nil {
		return nil, err
	}
	return f.git.Tags(ctx, source.GitRequest{URL: from.URL, Auth: auth})
}

// gitPackage brings a folder of a repository as a tag has it.
func (f *Fetcher) gitPackage(ctx context.Context, from v1alpha1.GitSource, version string, credentials Credentials) (*Package, error) {
	began := f.now()
	tags, err := f.gitTags(ctx, from, credentials)
	if err != nil {
		return nil, err
	}
	tag, ok := tagOf(tags, from.TagPrefix, version)
	if !ok {
		return nil, fmt.Errorf("%w: %s has no tag %s%s", ErrNoVersion, source.SanitizeURL(from.URL), from.TagPrefix, version)
	}
	auth, err := source.AuthFromSecret(credentials.Secret, from.URL)
	if err != nil {
		return nil, err
	}
	req := source.GitRequest{
		URL: from.URL, Auth: auth, Ref: &sourcev1.GitRepositoryRef{Tag: tag}, Since: began, Ignore: new("/.git/"), Limits: gitLimits(),
	}
	dir := path.Clean(from.Path)
	if dir != "." {
		req.Sparse = []string{dir}
	}
	snap, err := f.git.Fetch(ctx, req, "")
	if err != nil {
		return nil, err
	}
	f.remember(snap.Digest())
	files, err := fs.Sub(snap.FS(), dir)
	if err != nil {
		return nil, err
	}
	p, err := Open(ctx, f.store, files)
	if err != nil {
		return nil, err
	}
	digest, ok := snap.Hash(dir)
	if !ok {
		return nil, fmt.Errorf("read %s of %s: %w", dir, source.SanitizeURL(from.URL), source.ErrDamaged)
	}
	p.Digest, p.URL = v1alpha1.Digest(digest), source.SanitizeURL(from.URL)+"@"+tag
	if dir != "." {
		p.URL += "#" + dir
	}
	return p, nil
}

// gitLimits bound the folder of the package; Git may send far more, as the package may be in a large repository.
func gitLimits() source.Limits {
	l := limits()
	l.MaxPackBytes, l.MaxUnpackedBytes = 0, 0
	return l
}

// tagOf finds the tag of a version, with a v before it or without.
func tagOf(tags []string, prefix, version string) (string, bool) {
	for _, tag := range []string{prefix + version, prefix + "v" + version} {
		if slices.Contains(tags, tag) {
			return tag, true
		}
	}
	return "", false
}
