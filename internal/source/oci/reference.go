package oci

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

// helmChart is the media type of a Helm chart's layer. Its versions may have a + where a tag can't.
const helmChart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// maxTags bounds what is listed of one repository to find a version in.
const maxTags = 100_000

// parseURL reads spec.url.
func parseURL(raw string, insecure bool) (name.Repository, error) {
	address, ok := strings.CutPrefix(raw, sourcev1.OCIRepositoryPrefix)
	if !ok {
		return name.Repository{}, failf(source.ReasonURLInvalid, "spec.url: write oci://HOST/PATH")
	}
	if strings.Contains(address, "@") {
		return name.Repository{}, failf(source.ReasonURLInvalid, "spec.url holds an @: put a digest into spec.ref.digest, and credentials into the Secret that spec.secretRef names")
	}
	var opts []name.Option
	if insecure {
		opts = append(opts, name.Insecure)
	}
	// A tag is not part of a repository's name, while a port is part of the host's.
	if host, path, _ := strings.Cut(address, "/"); strings.Contains(path, ":") {
		return name.Repository{}, failf(source.ReasonURLInvalid, "spec.url holds a tag: write %s%s/%s and put the tag into spec.ref.tag",
			sourcev1.OCIRepositoryPrefix, host, strings.SplitN(path, ":", 2)[0])
	}
	repo, err := name.NewRepository(address, opts...)
	if err != nil {
		return name.Repository{}, failf(source.ReasonURLInvalid, "spec.url can't be used: %w: write oci://HOST/PATH, in lower case", source.Quote(err))
	}
	return repo, nil
}

// target is what a request comes down to: a digest, and the tag that led to it.
type target struct {
	digest v1.Hash
	tag    string // empty for a pinned digest
}

// revision is Flux's form: "TAG@sha256:…", or "sha256:…" for a pinned digest.
func (t target) revision() string {
	if t.tag == "" {
		return t.digest.String()
	}
	return t.tag + "@" + t.digest.String()
}

// resolve finds out what spec.ref stands for at this moment. The first of digest, semver and tag counts.
func (f *fetch) resolve(ctx context.Context) (target, error) {
	ref := f.ref
	switch {
	case ref.Digest != "":
		digest, err := v1.NewHash(ref.Digest)
		if err != nil {
			return target{}, failf(source.ReasonReferenceInvalid, "spec.ref.digest %q is no digest: write sha256:<64 hexadecimal digits>", ref.Digest)
		}
		return target{digest: digest}, f.admit(ctx, digest)
	case ref.SemVer != "":
		tag, err := f.newest(ctx, ref)
		if err != nil {
			return target{}, err
		}
		return f.follow(ctx, tag)
	case ref.Tag != "":
		return f.follow(ctx, ref.Tag)
	}
	return f.follow(ctx, name.DefaultTag)
}

// admit has the registry show a pinned manifest to these credentials, once: it can't change afterwards.
func (f *fetch) admit(ctx context.Context, digest v1.Hash) error {
	proof := strings.Join([]string{f.place(), f.auth.id, digest.String()}, "\x00")
	if f.proven(proof) {
		return nil
	}
	if _, err := f.head(ctx, f.repo.Digest(digest.String())); err != nil {
		return f.classify(err, ReasonPull, "find "+digest.String()+" in")
	}
	f.proofs.put(proof, true)
	return nil
}

// follow asks what a tag points at.
func (f *fetch) follow(ctx context.Context, tag string) (target, error) {
	ref, err := name.NewTag(f.repo.Name()+":"+tag, f.nameOptions()...)
	if err != nil {
		return target{}, failf(source.ReasonReferenceInvalid, "spec.ref.tag %q can't be a tag: %w", tag, source.Quote(err))
	}
	digest, err := f.head(ctx, ref)
	if err != nil {
		return target{}, f.classify(err, ReasonPull, "find the tag "+tag+" in")
	}
	return target{digest: digest, tag: tag}, nil
}

// head asks for a manifest's digest. Registries that answer a HEAD with less than they must are asked for the manifest itself,
// which has its digest in any case; those that refuse it are not asked twice.
func (f *fetch) head(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	desc, err := f.conn.puller.Head(ctx, ref)
	if err == nil {
		return desc.Digest, nil
	}
	if ctx.Err() != nil || isStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) || isThrottled(err) {
		return v1.Hash{}, err
	}
	whole, err := f.conn.puller.Get(ctx, ref)
	if err != nil {
		return v1.Hash{}, err
	}
	return whole.Digest, nil
}

// newest finds the tag with the highest version in spec.ref.semver among those that spec.ref.semverFilter lets through.
func (f *fetch) newest(ctx context.Context, ref sourcev1.OCIRepositoryRef) (string, error) {
	wanted, err := semver.NewConstraint(ref.SemVer)
	if err != nil {
		return "", failf(source.ReasonReferenceInvalid, "spec.ref.semver %q is not a range: write one such as \">=1.2.0 <2.0.0\" or 1.x", ref.SemVer)
	}
	filter, err := regexp.Compile(ref.SemverFilter)
	if err != nil {
		return "", failf(source.ReasonReferenceInvalid, "spec.ref.semverFilter is not a regular expression (RE2): %w", source.Quote(err))
	}
	tags, err := f.tags(ctx)
	if err != nil {
		return "", f.classify(err, ReasonTags, "list the tags of")
	}
	if tag, ok := highest(tags, wanted, filter, f.layer.MediaType == helmChart); ok {
		return tag, nil
	}
	return "", failf(ReasonTags, "%w: none of the %d tags of %s is in spec.ref.semver %q%s: check the range, or push a version in it",
		source.ErrRevisionNotFound, len(tags), f.repo, ref.SemVer, filtered(ref.SemverFilter))
}

func filtered(filter string) string {
	if filter == "" {
		return ""
	}
	return fmt.Sprintf(" and matches spec.ref.semverFilter %q", filter)
}

// highest returns the tag with the highest version. Of tags with the same version (v1.0.0 and 1.0.0, or with other build
// metadata) it is the last in the order of their names, so that the answer doesn't depend on the registry's order.
func highest(tags []string, wanted *semver.Constraints, filter *regexp.Regexp, chart bool) (string, bool) {
	var (
		best *semver.Version
		tag  string
	)
	for _, t := range tags {
		if !filter.MatchString(t) {
			continue
		}
		text := t
		if chart {
			text = strings.ReplaceAll(t, "_", "+")
		}
		// As with Flux, a leading v and leading zeros do no harm, but all three numbers must be there: "1" and "1.2" are tags that move.
		version, err := semver.NewVersion(text)
		if err != nil || strings.Count(text, ".") < 2 || !wanted.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(best) || version.Equal(best) && t > tag {
			best, tag = version, t
		}
	}
	return tag, best != nil
}

// tags lists all tags, in pages.
func (f *fetch) tags(ctx context.Context) ([]string, error) {
	pages, err := f.conn.puller.Lister(ctx, f.repo)
	if err != nil {
		return nil, err
	}
	var all []string
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Tags...)
		if len(all) > maxTags {
			return nil, &source.LimitError{Limit: "tags", Value: maxTags, What: "the number of tags of " + f.repo.Name(), Advice: "follow a tag with spec.ref.tag, or remove old tags"}
		}
		if len(page.Tags) == 0 {
			break // Nothing more to come, whatever the link says.
		}
	}
	return all, nil
}

func (f *fetch) nameOptions() []name.Option {
	if f.insecure {
		return []name.Option{name.Insecure}
	}
	return nil
}
