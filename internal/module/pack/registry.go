package pack

import (
	"context"
	"io/fs"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// chartMediaType is that of a Helm chart's layer.
const chartMediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

func isRegistry(address string) bool { return strings.HasPrefix(address, "oci://") }

// Tag is the tag of a version: a + can't be in one.
func Tag(version string) string { return strings.ReplaceAll(version, "+", "_") }

// registryVersions lists the tags that are versions.
func (f *Fetcher) registryVersions(ctx context.Context, address string, credentials Credentials) ([]Available, error) {
	auth, err := credentials.Registry()
	if err != nil {
		return nil, err
	}
	tags, err := f.registry.Tags(ctx, oci.Request{URL: address, Auth: auth, Insecure: f.allows(address)})
	if err != nil {
		return nil, err
	}
	for i, tag := range tags {
		tags[i] = strings.ReplaceAll(tag, "_", "+")
	}
	return available(tags), nil
}

// artifact is what was found in a registry.
type artifact struct {
	files     fs.FS
	url       string
	digest    v1alpha1.Digest
	signedBy  string
	published time.Time
}

// registryPackage brings what 'slipway package push' has put into a registry.
func (f *Fetcher) registryPackage(ctx context.Context, address, version string, credentials Credentials, verify *Verification) (*Package, error) {
	found, err := f.pull(ctx, address, version, "", credentials, verify)
	if err != nil {
		return nil, err
	}
	p, err := Open(ctx, f.store, found.files)
	if err != nil {
		return nil, err
	}
	found.describe(p)
	return p, nil
}

// registryChart brings what 'helm push' has put into a registry.
func (f *Fetcher) registryChart(ctx context.Context, from v1alpha1.ChartSource, version string, credentials Credentials, verify *Verification) (*Package, error) {
	found, err := f.pull(ctx, chartURL(from), version, chartMediaType, credentials, verify)
	if err != nil {
		return nil, err
	}
	p, err := openChart(ctx, f.store, found.files)
	if err != nil {
		return nil, err
	}
	found.describe(p)
	return p, nil
}

func (a artifact) describe(p *Package) {
	p.URL, p.Digest, p.SignedBy = a.url, a.digest, a.signedBy
	if p.Published.IsZero() {
		p.Published = a.published
	}
}

// pull brings the artifact of a version. The tag may have a v before it.
func (f *Fetcher) pull(ctx context.Context, address, version, mediaType string, credentials Credentials, verify *Verification) (artifact, error) {
	auth, err := credentials.Registry()
	if err != nil {
		return artifact{}, err
	}
	verifier, err := verify.verifier()
	if err != nil {
		return artifact{}, err
	}
	req := oci.Request{
		URL: address, Auth: auth, Insecure: f.allows(address), Verify: verifier, Limits: limits(),
		Ref:   &sourcev1.OCIRepositoryRef{Tag: Tag(version)},
		Layer: &sourcev1.OCILayerSelector{MediaType: mediaType, Operation: sourcev1.OCILayerCopy}, // all of it, whatever rules say
	}
	result, err := f.registry.Fetch(ctx, req)
	if err != nil && missingRevision(err) && !strings.HasPrefix(version, "v") {
		req.Ref.Tag = "v" + Tag(version)
		if again, second := f.registry.Fetch(ctx, req); second == nil || !missingRevision(second) {
			result, err = again, second
		}
	}
	if err != nil {
		return artifact{}, err
	}
	f.remember(result.Snapshot.Digest())
	_, digest, _ := strings.Cut(result.Snapshot.Revision(), "@")
	a := artifact{files: result.Snapshot.FS(), url: address + ":" + req.Ref.Tag, digest: v1alpha1.Digest(digest), signedBy: result.Verified.Signer}
	if at, err := time.Parse(time.RFC3339, result.Metadata[oci.AnnotationCreated]); err == nil {
		a.published = at
	}
	return a, nil
}

// CheckSignature looks for a trusted signature of an artifact in a registry, and says who signed. [ErrUnsigned] says that there is none.
func CheckSignature(ctx context.Context, address string, digest v1alpha1.Digest, auth oci.Auth, insecure bool, verify *Verification) (string, error) {
	verifier, err := verify.verifier()
	if err != nil {
		return "", err
	}
	signer, err := oci.CheckSignature(ctx, address, string(digest), auth, insecure, verifier)
	return signer, classify(err)
}
