package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-dev/slipway/internal/source"
)

func authFor(t testing.TB, url string, data map[string][]byte) source.Auth {
	t.Helper()
	a, err := source.AuthFromSecret(data, url)
	must(t, err)
	return a
}

func TestSSH(t *testing.T) {
	r, commits := history(t)
	identity, signer := newKey(t, "")
	s := serveSSH(t, r, signer.PublicKey())
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.url(), Ref: branch("main"), Auth: authFor(t, s.url(), map[string][]byte{"identity": identity, "known_hosts": s.knownHosts()})}

	first := fetch(t, g, req)
	if want := "main@sha1:" + commits["tip"]; first.Revision() != want {
		t.Errorf("revision %s, want %s", first.Revision(), want)
	}
	if got := s.sessions.Load(); got != 1 {
		t.Errorf("%d sessions for question and fetch, want 1", got)
	}
	r.commitFile("f", "next")
	next, err := g.Fetch(t.Context(), req, first.Revision())
	must(t, err)
	if got := read(t, next, "f"); got != "next" {
		t.Errorf("content %q after an incremental fetch", got)
	}
	req.Ref = &sourcev1.GitRepositoryRef{Commit: commits["plain"]}
	if got := read(t, fetch(t, g, req), "f"); got != "plain" {
		t.Errorf("content %q of a pinned commit", got)
	}
	req.Ref = &sourcev1.GitRepositoryRef{Commit: strings.Repeat("ab", 20)}
	if err := fails(t, g, req); !errors.Is(err, source.ErrRevisionNotFound) {
		t.Errorf("a commit that isn't there: %v", err)
	}
	req.URL, req.Ref = strings.Replace(s.url(), "/shop", "/other's!", 1), nil
	if err := fails(t, g, req); reason(err) != source.ReasonGitOperationFailed || !strings.Contains(err.Error(), "repository not found") {
		t.Errorf("a repository that isn't there: %v", err)
	}
}

func TestSSHEmptyRepository(t *testing.T) {
	identity, signer := newKey(t, "")
	s := serveSSH(t, newRepo(t), signer.PublicKey())
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.url(), Auth: authFor(t, s.url(), map[string][]byte{"identity": identity, "known_hosts": s.knownHosts()})}
	if err := fails(t, g, req); !errors.Is(err, source.ErrRevisionNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestSSHKeys(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	locked, signer := newKey(t, "open sesame")
	other, otherSigner := newKey(t, "")
	s := serveSSH(t, r, signer.PublicKey())
	line := func(key ssh.PublicKey) []byte {
		host, port, _ := strings.Cut(s.address(), ":")
		return fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(key))
	}
	cases := map[string]struct {
		reason string
		data   map[string][]byte
		fails  bool
		is     error
		says   string
	}{
		"passphrase":   {"an encrypted key with its passphrase", map[string][]byte{"identity": locked, "password": []byte("open sesame"), "known_hosts": s.knownHosts()}, false, nil, ""},
		"wrong key":    {"a key that the server doesn't know", map[string][]byte{"identity": other, "known_hosts": s.knownHosts()}, true, nil, "spec.secretRef"},
		"other host":   {"a host key that isn't the known one", map[string][]byte{"identity": locked, "password": []byte("open sesame"), "known_hosts": line(otherSigner.PublicKey())}, true, source.ErrHostKey, ssh.FingerprintSHA256(s.host.PublicKey())},
		"unknown host": {"a host that known_hosts doesn't list", map[string][]byte{"identity": locked, "password": []byte("open sesame"), "known_hosts": bytes.Replace(s.knownHosts(), []byte("127.0.0.1"), []byte("127.0.0.2"), 1)}, true, source.ErrHostKey, "ssh-keyscan"},
		"revoked":      {"a host key that is revoked", map[string][]byte{"identity": locked, "password": []byte("open sesame"), "known_hosts": append([]byte("@revoked * "), ssh.MarshalAuthorizedKey(s.host.PublicKey())...)}, true, source.ErrHostKey, "@revoked"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g, _ := newGit(t)
			_, err := g.Fetch(t.Context(), source.GitRequest{URL: s.url(), Ref: branch("main"), Auth: authFor(t, s.url(), tc.data)}, "")
			if !tc.fails {
				must(t, err)
				return
			}
			if reason(err) != source.ReasonAuthenticationFailed || (tc.is != nil && !errors.Is(err, tc.is)) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestSSHServerMisbehaves(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	identity, signer := newKey(t, "")
	cases := map[string]struct {
		answer func(ssh.Channel, string) bool
		is     error
	}{
		"hangs":  {func(ch ssh.Channel, _ string) bool { _, _ = ch.Read(make([]byte, 1)); return true }, context.DeadlineExceeded},
		"leaves": {func(ssh.Channel, string) bool { return true }, nil},
		"shouts": {func(ch ssh.Channel, _ string) bool {
			_, _ = ch.Stderr().Write(bytes.Repeat([]byte("no! "), 1<<14))
			return true
		}, nil},
		"garbage": {func(ch ssh.Channel, _ string) bool { _, _ = ch.Write([]byte("welcome to example.com")); return true }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serveSSH(t, r, signer.PublicKey())
			s.answer = tc.answer
			g, _ := newGit(t)
			timeout := time.Minute
			if tc.is != nil {
				timeout = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := g.Fetch(ctx, source.GitRequest{URL: s.url(), Auth: authFor(t, s.url(), map[string][]byte{"identity": identity, "known_hosts": s.knownHosts()})}, "")
			if reason(err) != source.ReasonGitOperationFailed || (tc.is != nil && !errors.Is(err, tc.is)) || len(err.Error()) > 1000 {
				t.Errorf("got %v", err)
			}
		})
	}
}
