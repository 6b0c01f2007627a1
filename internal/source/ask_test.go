package source_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

// fetchAll fetches all requests at the same time.
func fetchAll(t *testing.T, g *source.Git, reqs []source.GitRequest) []*source.Snapshot {
	t.Helper()
	snaps := make([]*source.Snapshot, len(reqs))
	var wg sync.WaitGroup
	for i, req := range reqs {
		wg.Go(func() {
			snap, err := g.Fetch(t.Context(), req, "")
			if err != nil {
				t.Errorf("fetch %d: %v", i, err)
			}
			snaps[i] = snap
		})
	}
	wg.Wait()
	return snaps
}

// TestManySourcesOfOneURL: what differs between them is what they take out of the repository, so the server is asked once.
func TestManySourcesOfOneURL(t *testing.T) {
	const sources = 1000
	r := newRepo(t)
	first := r.commitFile("a.yaml", "1")
	s := serve(t, r)
	g, _ := newGit(t)
	began := time.Now()
	reqs := make([]source.GitRequest, sources)
	for i := range reqs {
		ignore := fmt.Sprintf("*.%d", i)
		reqs[i] = source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Ignore: &ignore, Since: began}
	}
	fetchAll(t, g, reqs)
	if asked, fetched := s.asked.Load(), s.fetched.Load(); asked != 1 || fetched != 1 {
		t.Errorf("%d sources together cost %d questions and %d fetches, want one of each", sources, asked, fetched)
	}

	second := r.commitFile("a.yaml", "2")
	if snap := fetch(t, g, reqs[0]); !strings.HasSuffix(snap.Revision(), first) {
		t.Errorf("an answer that is young enough must do, and gave %s", snap.Revision())
	}
	now := time.Now()
	for i := range reqs {
		reqs[i].Since = now
	}
	for i, snap := range fetchAll(t, g, reqs) {
		if snap != nil && !strings.HasSuffix(snap.Revision(), second) {
			t.Fatalf("source %d got %s, although it wanted an answer of now", i, snap.Revision())
		}
	}
	// The one that fetches may have to ask again, because it speaks to the server in another conversation.
	if asked, fetched := s.asked.Load(), s.fetched.Load(); asked > 4 || fetched != 2 {
		t.Errorf("a push to all of them costs %d questions and %d fetches", asked-1, fetched-1)
	}
}

// TestAnswersAreNotSharedAcrossCredentials: whoever has not been shown the references by the server is not told them.
func TestAnswersAreNotSharedAcrossCredentials(t *testing.T) {
	r := newRepo(t)
	r.commitFile("a.yaml", "1")
	s := serve(t, r)
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if user, password, _ := req.BasicAuth(); user == "robot" && password == "right" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	g, _ := newGit(t)
	since := time.Now().Add(-time.Hour)
	auth := func(password string) source.Auth {
		a, err := source.AuthFromSecret(map[string][]byte{"username": []byte("robot"), "password": []byte(password)}, s.repoURL())
		must(t, err)
		return a
	}
	fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: auth("right"), Since: since})
	for name, other := range map[string]source.Auth{"none": {}, "wrong": auth("wrong")} {
		if err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: other, Since: since}); !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRunThatAskedTooEarly: a push comes while a run is under way that has its answer already. Whoever is told of the push wants to know
// what is there now, and must not be content with what that run finds.
func TestRunThatAskedTooEarly(t *testing.T) {
	r := newRepo(t)
	first := r.commitFile("a.yaml", "1")
	s := serve(t, r)
	cloning, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/git-upload-pack") {
			once.Do(func() { close(cloning); <-goOn })
		}
		return false
	})
	g, _ := newGit(t)
	results := make(chan string, 4)
	start := func(since time.Time) {
		go func() {
			snap, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Since: since}, "")
			if err != nil {
				results <- err.Error()
				return
			}
			results <- snap.Revision()
		}()
	}
	start(time.Now())
	<-cloning
	second := r.commitFile("a.yaml", "2")
	told := time.Now()
	for range 2 {
		start(told)
	}
	start(time.Time{})
	close(goOn)
	got := map[string]int{}
	for range 4 {
		got[<-results]++
	}
	if got["main@sha1:"+first] != 1 || got["main@sha1:"+second] != 3 {
		t.Errorf("the one that asked before the push has %s, the three after it %s; got %v", first, second, got)
	}
	if asked, fetched := s.asked.Load(), s.fetched.Load(); asked > 5 || fetched != 2 {
		t.Errorf("%d questions and %d fetches", asked, fetched)
	}
}

// TestAnswerThatIsOutdated: what an old answer names may be gone from the server; then the server is asked anew.
func TestAnswerThatIsOutdated(t *testing.T) {
	r := newRepo(t)
	r.commitFile("a.yaml", "1")
	r.git("checkout", "-q", "-b", "other")
	r.commitFile("b.yaml", "gone")
	s := serve(t, r)
	g, _ := newGit(t)
	since := time.Now().Add(-time.Hour)
	fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Since: since})
	r.git("reset", "-q", "--hard", "main")
	want := r.commitFile("b.yaml", "new")
	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "-q", "--prune=now")
	if snap := fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("other"), Since: since}); !strings.HasSuffix(snap.Revision(), want) {
		t.Errorf("got %s, want %s", snap.Revision(), want)
	}
}
