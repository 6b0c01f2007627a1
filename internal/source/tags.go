package source

import (
	"context"
	"slices"
	"strings"
)

// Tags lists the tags that the server of a request shows to its credentials, sorted. Nothing is fetched; req.Ref isn't looked at. It costs
// one request, or none where req.Since allows an older answer. Errors are *[Error].
func (g *Git) Tags(ctx context.Context, req GitRequest) ([]string, error) {
	rem, err := parseURL(req.URL, g.allowFile)
	if err != nil {
		return nil, err
	}
	f := &fetch{Git: g, rem: rem, auth: req.Auth.withURL(rem), limits: req.Limits.withDefaults(), proxy: req.Proxy, since: req.Since}
	if f.since.IsZero() {
		f.since = g.answers.now()
	}
	adv, err := f.references(ctx)
	if err != nil {
		return nil, f.classify(err)
	}
	var tags []string
	for ref := range adv.refs {
		if tag, ok := strings.CutPrefix(ref, tagPrefix); ok {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags, nil
}

// references asks what the server shows, and nothing else.
func (f *fetch) references(ctx context.Context) (*advertised, error) {
	if f.rem.scheme == "file" {
		dir, err := localGitDir(f.rem.path)
		if err != nil {
			return nil, err
		}
		o := openObjects(dir, f.limits)
		defer o.close()
		return localRefs(o)
	}
	if err := f.logIn(ctx); err != nil {
		return nil, err
	}
	m := f.store.mirror(f.mirrorKey())
	defer f.store.release(m)
	s, adv, err := f.ask(ctx, m)
	if err != nil {
		return nil, err
	}
	s.close()
	return adv, nil
}
