package source_test

import (
	"errors"
	"strings"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

func TestFetchRefusals(t *testing.T) {
	r, _ := history(t)
	s := serve(t, r)
	absent := strings.Repeat("ab", 20)
	other := newRepo(t)
	other.commitFile("f", "x")
	onlyMain := serve(t, other)
	cases := map[string]struct {
		reason    string
		req       source.GitRequest
		want      string
		is        error
		permanent bool
		says      string
	}{
		"no branch":     {"a branch that isn't there", source.GitRequest{Ref: branch("gone")}, source.ReasonGitOperationFailed, source.ErrRevisionNotFound, false, "spec.ref"},
		"no master":     {"spec.ref was forgotten", source.GitRequest{URL: onlyMain.repoURL()}, source.ReasonGitOperationFailed, source.ErrRevisionNotFound, false, "spec.ref.branch"},
		"no tag":        {"a tag that isn't there", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{Tag: "v9"}}, source.ReasonGitOperationFailed, source.ErrRevisionNotFound, false, "refs/tags/v9"},
		"no version":    {"no tag in the range", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{SemVer: ">9"}}, source.ReasonGitOperationFailed, source.ErrRevisionNotFound, false, "widen the range"},
		"no commit":     {"a commit that isn't there", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{Commit: absent}}, source.ReasonGitOperationFailed, source.ErrRevisionNotFound, false, absent},
		"bad version":   {"not a range", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{SemVer: "one"}}, source.ReasonReferenceInvalid, nil, true, "spec.ref.semver"},
		"short commit":  {"not a whole hash", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{Commit: "abc"}}, source.ReasonReferenceInvalid, nil, true, "40"},
		"bare name":     {"not a full reference", source.GitRequest{Ref: &sourcev1.GitRepositoryRef{Name: "main"}}, source.ReasonReferenceInvalid, nil, true, "refs/heads/"},
		"no repository": {"nothing at this path", source.GitRequest{URL: s.URL + "/other"}, source.ReasonGitOperationFailed, nil, false, "spec.url"},
		"file":          {"file:// needs the option", source.GitRequest{URL: "file://" + r.tree()}, source.ReasonURLInvalid, nil, true, "lab"},
		"scp":           {"Flux doesn't know this form either", source.GitRequest{URL: "git@example.com:a/b"}, source.ReasonURLInvalid, nil, true, "ssh://"},
		"other scheme":  {"git:// has no protection", source.GitRequest{URL: "git://example.com/a"}, source.ReasonURLInvalid, nil, true, "git"},
		"query":         {"a token in the query would end up in logs", source.GitRequest{URL: "https://example.com/a?token=hunter2"}, source.ReasonURLInvalid, nil, true, "secretRef"},
		"no host":       {"a URL without a host", source.GitRequest{URL: "https:///a"}, source.ReasonURLInvalid, nil, true, "host"},
		"refused":       {"nobody listens", source.GitRequest{URL: "http://127.0.0.1:1/a"}, source.ReasonGitOperationFailed, nil, false, "127.0.0.1:1"},
		"option":        {"a path that ssh's far end could take for an option", source.GitRequest{URL: "ssh://git@example.com/-oProxyCommand=x"}, source.ReasonURLInvalid, nil, true, "path"},
		"ssh, no key":   {"ssh without a Secret", source.GitRequest{URL: "ssh://git@example.com/a"}, source.ReasonAuthenticationFailed, nil, false, "known_hosts"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.req.URL == "" {
				tc.req.URL = s.repoURL()
			}
			g, _ := newGit(t)
			err := fails(t, g, tc.req)
			if got := reason(err); got != tc.want {
				t.Errorf("%s: reason %s, want %s (%v)", tc.reason, got, tc.want, err)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v is not %v", tc.reason, err, tc.is)
			}
			if !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: message %q should say %q", tc.reason, err, tc.says)
			}
			var e *source.Error
			if errors.As(err, &e) && e.Permanent() != tc.permanent {
				t.Errorf("%s: permanent %v", tc.reason, e.Permanent())
			}
		})
	}
}

func TestEmptyRepository(t *testing.T) {
	r := newRepo(t)
	s := serve(t, r)
	for _, url := range []string{s.repoURL(), "file://" + r.tree()} {
		g, _ := newGit(t, source.AllowFile())
		if err := fails(t, g, source.GitRequest{URL: url}); !errors.Is(err, source.ErrRevisionNotFound) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
