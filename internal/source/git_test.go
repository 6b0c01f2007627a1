package source_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

func branch(name string) *sourcev1.GitRepositoryRef { return &sourcev1.GitRepositoryRef{Branch: name} }

func read(t testing.TB, s *source.Snapshot, name string) string {
	t.Helper()
	b, err := fs.ReadFile(s.FS(), name)
	must(t, err)
	return string(b)
}

func reason(err error) string {
	var e *source.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprintf("%T", err)
}

// history makes a repository with one of everything that a reference can be.
func history(t *testing.T) (r *repo, commits map[string]string) {
	r = newRepo(t)
	commits = map[string]string{"first": r.commitFile("f", "first")}
	r.git("branch", "master")
	r.git("tag", "v1.0.0")
	commits["second"] = r.commitFile("f", "second")
	r.git("tag", "-a", "-m", "annotated", "1.1.0")
	r.git("tag", "-a", "-m", "of a tag", "nested", "1.1.0")
	r.git("tag", "v1.1.0-rc.1")
	commits["third"] = r.commitFile("f", "third")
	r.git("tag", "v2.0.0")
	r.git("update-ref", "refs/pull/7/head", commits["second"])
	commits["plain"] = r.commitFile("f", "plain")
	commits["tip"] = r.commitFile("f", "tip")
	r.git("tag", "not-a-version")
	return r, commits
}

func TestFetchReferences(t *testing.T) {
	r, commits := history(t)
	s := serve(t, r)
	cases := map[string]struct {
		reason string
		ref    *sourcev1.GitRepositoryRef
		commit string
		label  string
	}{
		"none":            {"without spec.ref it is master, as in Flux", nil, "first", "master@"},
		"empty":           {"an empty spec.ref is none", &sourcev1.GitRepositoryRef{}, "first", "master@"},
		"branch":          {"a branch is its tip", branch("main"), "tip", "main@"},
		"tag":             {"a light tag is a commit", &sourcev1.GitRepositoryRef{Tag: "v1.0.0"}, "first", "v1.0.0@"},
		"annotated":       {"an annotated tag is peeled to its commit", &sourcev1.GitRepositoryRef{Tag: "1.1.0"}, "second", "1.1.0@"},
		"nested":          {"a tag of a tag is peeled to the commit", &sourcev1.GitRepositoryRef{Tag: "nested"}, "second", "nested@"},
		"tag over branch": {"tag goes before branch", &sourcev1.GitRepositoryRef{Tag: "v1.0.0", Branch: "main"}, "first", "v1.0.0@"},
		"semver":          {"the highest version in the range, v or not", &sourcev1.GitRepositoryRef{SemVer: "1.x"}, "second", "1.1.0@"},
		"semver pre":      {"a pre-release only when it is asked for", &sourcev1.GitRepositoryRef{SemVer: ">=1.1.0-0 <1.1.0"}, "second", "v1.1.0-rc.1@"},
		"semver all":      {"semver goes before tag and branch", &sourcev1.GitRepositoryRef{SemVer: "*", Tag: "v1.0.0", Branch: "main"}, "third", "v2.0.0@"},
		"name":            {"a full reference keeps its full name", &sourcev1.GitRepositoryRef{Name: "refs/pull/7/head"}, "second", "refs/pull/7/head@"},
		"name of branch":  {"a branch by its full name as well", &sourcev1.GitRepositoryRef{Name: "refs/heads/main"}, "tip", "refs/heads/main@"},
		"HEAD":            {"HEAD is what the server says", &sourcev1.GitRepositoryRef{Name: "HEAD"}, "tip", "HEAD@"},
		"commit":          {"a commit that is no tip", &sourcev1.GitRepositoryRef{Commit: commits["plain"]}, "plain", ""},
		"branch + commit": {"the branch is part of the revision", &sourcev1.GitRepositoryRef{Commit: commits["second"], Branch: "main"}, "second", "main@"},
	}
	for _, scheme := range []string{"http", "file"} {
		for name, tc := range cases {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				g, _ := newGit(t, source.AllowFile())
				url := s.repoURL()
				if scheme == "file" {
					url = "file://" + r.tree()
				}
				snap := fetch(t, g, source.GitRequest{URL: url, Ref: tc.ref})
				if want := tc.label + "sha1:" + commits[tc.commit]; snap.Revision() != want {
					t.Errorf("%s: revision %s, want %s", tc.reason, snap.Revision(), want)
				}
				if got := read(t, snap, "f"); got != tc.commit {
					t.Errorf("%s: content %q, want %q", tc.reason, got, tc.commit)
				}
			})
		}
	}
}

func TestCommitMetadata(t *testing.T) {
	r := newRepo(t)
	hash := r.commitFile("f", "x")
	g, _ := newGit(t)
	got := fetch(t, g, source.GitRequest{URL: serve(t, r).repoURL(), Ref: branch("main")}).Commit()
	want := source.Commit{Hash: hash, Author: "Ada <ada@example.com>", Subject: "change f", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// bulk commits files that don't compress, so that bytes on the wire tell.
func bulk(r *repo, files int) {
	for i := range files {
		r.write(fmt.Sprintf("dir%d/file%d.yaml", i%10, i), rand.Text()+rand.Text()+rand.Text()+rand.Text())
	}
	r.commit("bulk")
}

func TestFetchIsIncremental(t *testing.T) {
	r := newRepo(t)
	bulk(r, 100)
	s := serve(t, r)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	snap := fetch(t, g, req)
	whole := s.sent.Load()
	for i := range 3 {
		before := s.sent.Load()
		r.commitFile("dir1/file1.yaml", fmt.Sprint("changed ", i))
		next, err := g.Fetch(t.Context(), req, snap.Revision())
		must(t, err)
		if sent := s.sent.Load() - before; sent*20 > whole {
			t.Errorf("change %d: %d bytes for one small file, the whole was %d", i, sent, whole)
		}
		if got := read(t, next, "dir1/file1.yaml"); got != fmt.Sprint("changed ", i) {
			t.Errorf("change %d: content %q", i, got)
		}
		if read(t, next, "dir2/file2.yaml") != read(t, snap, "dir2/file2.yaml") {
			t.Errorf("change %d: an untouched file changed", i)
		}
		snap = next
	}
}

func TestUnchangedHeadCostsOneQuestion(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	first := fetch(t, g, req)
	asked, fetched := s.asked.Load(), s.fetched.Load()
	again, err := g.Fetch(t.Context(), req, first.Digest())
	must(t, err)
	if s.asked.Load() != asked+1 || s.fetched.Load() != fetched {
		t.Errorf("%d questions and %d fetches, want 1 and 0", s.asked.Load()-asked, s.fetched.Load()-fetched)
	}
	if again.Digest() != first.Digest() || again.Revision() != first.Revision() {
		t.Errorf("got %s %s", again.Revision(), again.Digest())
	}
}

func TestPinnedCommitIsFetchedOnce(t *testing.T) {
	for _, anyCommit := range []bool{true, false} {
		t.Run(fmt.Sprint("allowReachableSHA1InWant=", anyCommit), func(t *testing.T) {
			r, commits := history(t)
			r.git("config", "uploadpack.allowReachableSHA1InWant", fmt.Sprint(anyCommit))
			s := serve(t, r)
			g, _ := newGit(t)
			req := source.GitRequest{URL: s.repoURL(), Ref: &sourcev1.GitRepositoryRef{Commit: commits["plain"], Branch: "main"}}
			fetch(t, g, req)
			if got := s.fetched.Load(); got != 1 {
				t.Errorf("%d fetches for the first time, want 1", got)
			}
			fetch(t, g, req)
			if got := s.fetched.Load(); got != 1 {
				t.Errorf("%d fetches after the second time, want 1", got)
			}
			gone := source.GitRequest{URL: s.repoURL(), Ref: &sourcev1.GitRepositoryRef{Commit: strings.Repeat("ab", 20), Branch: "main"}}
			if err := fails(t, g, gone); !errors.Is(err, source.ErrRevisionNotFound) {
				t.Errorf("a commit that isn't there: %v", err)
			}
		})
	}
}

func TestRevisionVanishes(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "one")
	r.git("tag", "v1")
	r.git("branch", "feature")
	s := serve(t, r)
	g, store := newGit(t)
	for name, ref := range map[string]*sourcev1.GitRepositoryRef{"tag": {Tag: "v1"}, "branch": branch("feature")} {
		req := source.GitRequest{URL: s.repoURL(), Ref: ref}
		snap := fetch(t, g, req)
		r.git(name, "-d", map[string]string{"tag": "v1", "branch": "feature"}[name])
		if err := fails(t, g, req); !errors.Is(err, source.ErrRevisionNotFound) || reason(err) != source.ReasonGitOperationFailed {
			t.Errorf("%s: %v", name, err)
		}
		if kept, ok := store.Get(snap.Digest()); !ok || read(t, kept, "f") != "one" {
			t.Errorf("%s: the previous snapshot is gone", name)
		}
	}
}

func TestForcePush(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "base")
	s := serve(t, r)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	old := r.commitFile("f", "old")
	before := fetch(t, g, req)
	r.git("reset", "-q", "--hard", "HEAD~1")
	r.commitFile("f", "new")
	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "-q", "--prune=now")
	after, err := g.Fetch(t.Context(), req, before.Revision())
	must(t, err)
	if read(t, after, "f") != "new" || read(t, before, "f") != "old" {
		t.Error("both snapshots should be there")
	}
	pinned := source.GitRequest{URL: s.repoURL(), Ref: &sourcev1.GitRepositoryRef{Commit: old}}
	if err := fails(t, g, pinned); !errors.Is(err, source.ErrRevisionNotFound) {
		t.Errorf("a commit that was pushed away: %v", err)
	}
}

func TestReferenceMovesDuringFetch(t *testing.T) {
	r := newRepo(t)
	r.git("config", "uploadpack.allowReachableSHA1InWant", "false")
	r.commitFile("f", "base")
	r.commitFile("f", "old")
	s := serve(t, r)
	var once sync.Once
	s.intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/info/refs") {
			once.Do(func() {
				r.git("reset", "-q", "--hard", "HEAD~1")
				r.commitFile("f", "new")
			})
		}
		return false
	})
	g, _ := newGit(t)
	if got := read(t, fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main")}), "f"); got != "new" {
		t.Errorf("content %q, want that of the commit that was pushed meanwhile", got)
	}
}

func TestEqualRequestsShareOneRun(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	g, _ := newGit(t)
	const callers = 8
	open := make(chan struct{})
	var arrived sync.WaitGroup
	arrived.Add(callers)
	s.intercept(func(http.ResponseWriter, *http.Request) bool { <-open; return false })
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			arrived.Done()
			if _, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main")}, ""); err != nil {
				t.Error(err)
			}
		})
	}
	arrived.Wait()
	close(open)
	done.Wait()
	// Whoever came after the first run's end asked once more, but never fetched.
	if s.fetched.Load() != 1 || s.asked.Load() > callers {
		t.Errorf("%d questions and %d fetches", s.asked.Load(), s.fetched.Load())
	}
}

func TestRequestsWithOtherRulesShareTheObjects(t *testing.T) {
	r := newRepo(t)
	r.write("a.yaml", "a")
	r.commitFile("b.yaml", "b")
	s := serve(t, r)
	g, _ := newGit(t)
	ignores := []string{"", "a.yaml", "b.yaml", "*.txt"}
	var done sync.WaitGroup
	for _, ignore := range ignores {
		done.Go(func() {
			snap, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Ignore: &ignore}, "")
			if err != nil {
				t.Error(err)
				return
			}
			if _, ok := snap.Hash("a.yaml"); ok != (ignore != "a.yaml") {
				t.Errorf("ignore %q: a.yaml is there: %v", ignore, ok)
			}
		})
	}
	done.Wait()
	if got := s.fetched.Load(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestWorktreeFile(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "one")
	g, _ := newGit(t, source.AllowFile())
	req := source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main")}
	if got := read(t, fetch(t, g, req), "f"); got != "one" {
		t.Errorf("content %q", got)
	}
	r.commitFile("f", "two")
	r.git("gc", "-q")
	if got := read(t, fetch(t, g, req), "f"); got != "two" {
		t.Errorf("content %q after a commit", got)
	}
	must(t, os.RemoveAll(r.tree()))
	if err := fails(t, g, req); reason(err) != source.ReasonGitOperationFailed {
		t.Errorf("got %v", err)
	}
}
