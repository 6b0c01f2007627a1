package delivery_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// TestRecreatedSource: a source that was deleted and made anew under its name is another one. What is still under way for the first is
// broken off, and never becomes the second one's artifact.
func TestRecreatedSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	sha, err := w.repo.Apply(t.Context(), gitserver.Change{Branch: "other", From: "main", Message: "other", Files: map[string]string{"a.yaml": configMapFile("a", "2")}})
	if err != nil {
		t.Fatal(err)
	}
	slow := serveSlow(t, w.repo.URL())
	first := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL, r.Spec.Timeout = slow.url, &metav1.Duration{Duration: 10 * time.Minute}
	})
	<-slow.reached
	if err := w.client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.gone(first)
	second := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL, r.Spec.Reference = slow.url, &sourcev1.GitRepositoryRef{Branch: "other"}
	})
	select {
	case <-slow.left:
	case <-time.After(patience):
		t.Error("the fetch for the source that is gone goes on")
	}
	slow.goOn()
	until(w, second, "it has an artifact", func() bool { return second.Status.Artifact != nil })
	if got, want := second.Status.Artifact.Revision, "other@sha1:"+sha; got != want {
		t.Errorf("the new source has %s, want %s", got, want)
	}
}

// slowServer is a Git server that keeps its first request waiting.
type slowServer struct {
	url           string
	reached, left chan struct{} // closed when the first request is there, and when its client has given up
	goOn          func()        // has the first request answered
}

func serveSlow(t *testing.T, repo string) *slowServer {
	t.Helper()
	u, err := url.Parse(repo)
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	s := &slowServer{reached: make(chan struct{}), left: make(chan struct{}), goOn: sync.OnceFunc(func() { close(held) })}
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			close(s.reached)
			select {
			case <-r.Context().Done():
				close(s.left)
			case <-held:
			}
		})
		behind.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(s.goOn)
	s.url = server.URL + u.Path
	return s
}
