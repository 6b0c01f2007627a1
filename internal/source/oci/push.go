package oci

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-dev/slipway/internal/source"
)

// Location is where an artifact is pushed to or pulled from.
type Location struct {
	// URL is oci://HOST/PATH, without a tag.
	URL string
	// Tag and Digest name an artifact there; one of them is empty.
	Tag, Digest string
}

// ParseLocation reads oci://HOST/PATH:TAG or oci://HOST/PATH@DIGEST. Without either, the tag is latest.
func ParseLocation(raw string) (Location, error) {
	at := strings.LastIndex(raw, "/") + 1
	if path, digest, ok := strings.Cut(raw[at:], "@"); ok {
		path, _, _ = strings.Cut(path, ":") // A tag beside a digest means nothing.
		return checked(Location{URL: raw[:at] + path, Digest: digest})
	}
	path, tag, ok := strings.Cut(raw[at:], ":")
	if !ok {
		tag = name.DefaultTag
	}
	return checked(Location{URL: raw[:at] + path, Tag: tag})
}

func checked(l Location) (Location, error) {
	repo, err := parseURL(l.URL, false)
	if err != nil {
		return l, fmt.Errorf("want oci://HOST/PATH:TAG or oci://HOST/PATH@DIGEST: %w", source.Quote(err))
	}
	if l.Digest != "" {
		_, err = name.NewDigest(repo.Name() + "@" + l.Digest)
	} else {
		_, err = name.NewTag(repo.Name() + ":" + l.Tag)
	}
	if err != nil {
		return l, fmt.Errorf("want oci://HOST/PATH:TAG or oci://HOST/PATH@DIGEST: %w", source.Quote(err))
	}
	return l, nil
}

// Push puts an artifact into a registry under a tag, and under others beside it. It returns the artifact's digest.
func Push(ctx context.Context, to Location, others []string, auth Auth, insecure bool, artifact v1.Image) (string, error) {
	repo, err := parseURL(to.URL, insecure)
	if err != nil {
		return "", err
	}
	f := &fetch{repo: repo, auth: auth, insecure: insecure}
	login, _ := auth.loginFor(repo)
	opts, base := registryOptions(auth, login, insecure)
	defer base.CloseIdleConnections()
	pusher, err := remote.NewPusher(opts...)
	if err != nil {
		return "", fmt.Errorf("make a client for %s: %w", repo.RegistryStr(), err)
	}
	for _, tag := range append([]string{to.Tag}, others...) {
		ref, err := name.NewTag(repo.Name()+":"+tag, f.nameOptions()...)
		if err != nil {
			return "", fmt.Errorf("tag %q: %w", tag, source.Quote(err))
		}
		if err := pusher.Push(ctx, ref, artifact); err != nil {
			return "", f.classify(err, ReasonPull, "push to")
		}
	}
	digest, err := artifact.Digest()
	if err != nil {
		return "", fmt.Errorf("take digest: %w", err)
	}
	return digest.String(), nil
}
