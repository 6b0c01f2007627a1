package pack

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source"
)

// versionWord is replaced by the version in the address of plain manifests.
const versionWord = "{version}"

// manifestsPackage makes a package of a file of manifests.
func (f *Fetcher) manifestsPackage(ctx context.Context, from v1alpha1.ManifestsSource, version string, credentials Credentials) (*Package, error) {
	if _, ok := parseVersion(version); !ok {
		return nil, fmt.Errorf("%.100q is no version: %w", version, ErrUnlisted)
	}
	address, err := parseAddress(strings.ReplaceAll(from.URL, versionWord, version), "the source's url")
	if err != nil {
		return nil, err
	}
	d, _, err := f.web.get(ctx, question{address: address, home: address, credentials: credentials, digest: string(from.Digest), limits: limits()})
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	snap, err := f.asManifests(ctx, d)
	if err != nil {
		return nil, err
	}
	f.remember(snap.Digest())
	name := strings.TrimSuffix(path.Base(address.Path), path.Ext(address.Path))
	return &Package{
		Manifest: Manifest{APIVersion: APIVersion, Kind: Kind, Name: name, Version: strings.TrimPrefix(version, "v")},
		URL:      shown(address), Digest: v1alpha1.Digest(d.Digest()), files: snap.FS(), store: f.store,
	}, nil
}

// asManifests makes the tree of a package of one file.
func (f *Fetcher) asManifests(ctx context.Context, d *source.Download) (*source.Snapshot, error) {
	content, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	draft := f.store.NewDraft(limits())
	defer draft.Discard()
	if err := draft.File(ctx, path.Join(manifestsDir, "manifests.yaml"), 0o644, "", content); err != nil {
		return nil, err
	}
	return draft.Snapshot(d.Digest())
}
