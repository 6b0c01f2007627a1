package source_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

func pkt(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func TestHangingServer(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	for _, at := range []string{"/info/refs", "/git-upload-pack"} {
		t.Run(at, func(t *testing.T) {
			s := serve(t, r)
			s.intercept(func(_ http.ResponseWriter, req *http.Request) bool {
				if strings.HasSuffix(req.URL.Path, at) {
					_, _ = http.MaxBytesReader(nil, req.Body, 1<<20).Read(make([]byte, 1<<16))
					<-req.Context().Done()
				}
				return false
			})
			g, _ := newGit(t)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := g.Fetch(ctx, source.GitRequest{URL: s.repoURL(), Ref: branch("main")}, "")
			if !errors.Is(err, context.DeadlineExceeded) || reason(err) != source.ReasonGitOperationFailed || !strings.Contains(err.Error(), "spec.timeout") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestResettingServer(t *testing.T) {
	r := newRepo(t)
	bulk(r, 200)
	s := serve(t, r)
	g, store := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	snap := fetch(t, g, req)
	bulk(r, 200)
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/info/refs") {
			return false
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return false
		}
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nContent-Length: 100000\r\n\r\n0008NAK\n")
		_ = buf.Flush()
		_ = conn.(*net.TCPConn).SetLinger(0) // So that closing it is a reset.
		_ = conn.Close()
		return true
	})
	if err := fails(t, g, req); reason(err) != source.ReasonGitOperationFailed {
		t.Errorf("got %v", err)
	}
	if _, ok := store.Get(snap.Digest()); !ok {
		t.Error("the previous snapshot is gone")
	}
	s.intercept(func(http.ResponseWriter, *http.Request) bool { return false })
	if next := fetch(t, g, req); next.Digest() == snap.Digest() {
		t.Error("the server is well again but nothing new was fetched")
	}
}

func TestNonsenseFromServer(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	for name, answer := range map[string]string{
		"html":        "<html>sign in</html>",
		"empty":       "",
		"garbage":     "001e# service=git-upload-pack\n0000zzzz",
		"short":       "001e# service=git-upload-pack\n00000050aaaa",
		"sha256":      "001e# service=git-upload-pack\n0000" + pkt(strings.Repeat("ab", 20)+" HEAD\x00object-format=sha256 agent=x\n") + "0000",
		"only a flag": "0000",
	} {
		t.Run(name, func(t *testing.T) {
			s.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = w.Write([]byte(answer))
				return true
			})
			g, _ := newGit(t)
			if err := fails(t, g, source.GitRequest{URL: s.repoURL()}); reason(err) != source.ReasonGitOperationFailed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestServerError(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	s.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, strings.Repeat("out of order ", 1<<16), http.StatusInternalServerError)
		return true
	})
	g, _ := newGit(t)
	if err := fails(t, g, source.GitRequest{URL: s.repoURL()}); reason(err) != source.ReasonGitOperationFailed || len(err.Error()) > 1000 {
		t.Errorf("got %d bytes: %.300v", len(err.Error()), err)
	}
}
