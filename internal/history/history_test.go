package history_test

import (
	"errors"
	"testing"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/slipway-dev/slipway/internal/history"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

func repository(t *testing.T, opts gitserver.Options) (*gitserver.Repo, string) {
	t.Helper()
	_, repo := gittest.Start(t, "shop", opts)
	last := ""
	for _, change := range []gitserver.Change{
		{Message: "first\n\nand more", Files: map[string]string{"web.yaml": "a: 1\nb: 2\n"}},
		{Message: "second", Files: map[string]string{"web.yaml": "a: 1\nnew: 9\nb: 2\n", "other.yaml": "x: 1\n"}},
		{Message: "third", Files: map[string]string{"web.yaml": "a: 1\nnew: 10\nb: 2\n"}},
	} {
		var err error
		if last, err = repo.Apply(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	return repo, last
}

func TestBlame(t *testing.T) {
	repo, head := repository(t, gitserver.Options{})
	for name, open := range map[string]func() (*history.Repository, error){
		"OnDisk": func() (*history.Repository, error) { return history.Open(repo.Dir()) },
		"Mirror": func() (*history.Repository, error) {
			return history.Mirror(t.Context(), t.TempDir(), repo.URL(), head, history.Credentials{})
		},
		"FileURL": func() (*history.Repository, error) {
			return history.Mirror(t.Context(), t.TempDir(), "file://"+repo.Dir(), head, history.Credentials{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := open()
			if err != nil {
				t.Fatal(err)
			}
			for line, want := range map[int]string{1: "first", 2: "third", 3: "first"} {
				got, err := r.Blame(head, "web.yaml", line)
				if err != nil || got.Subject != want || got.Author == "" || got.Time.IsZero() {
					t.Errorf("line %d: %+v, %v; want the commit %q", line, got, err, want)
				}
			}
			if _, err := r.Blame(head, "web.yaml", 4); err == nil {
				t.Error("a line that isn't there was written by somebody")
			}
			if _, err := r.Blame("0123456789012345678901234567890123456789", "web.yaml", 1); !errors.Is(err, history.ErrNoCommit) {
				t.Errorf("of an unknown commit: %v", err)
			}
		})
	}
}

func TestMirrorBringsWhatIsNew(t *testing.T) {
	repo, head := repository(t, gitserver.Options{})
	cache := t.TempDir()
	if _, err := history.Mirror(t.Context(), cache, repo.URL(), head, history.Credentials{}); err != nil {
		t.Fatal(err)
	}
	next, err := repo.Apply(t.Context(), gitserver.Change{Message: "fourth", Files: map[string]string{"web.yaml": "c: 3\n"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := history.Mirror(t.Context(), cache, repo.URL(), next, history.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Blame(next, "web.yaml", 1); err != nil || got.Subject != "fourth" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMirrorShowsCredentials(t *testing.T) {
	repo, head := repository(t, gitserver.Options{Username: "ada", Password: "swordfish"})
	if _, err := history.Mirror(t.Context(), t.TempDir(), repo.URL(), head, history.Credentials{}); err == nil {
		t.Error("the server asks for no password")
	}
	auth := &githttp.BasicAuth{Username: "ada", Password: "swordfish"}
	r, err := history.Mirror(t.Context(), t.TempDir(), repo.URL(), head, history.Credentials{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range r.URLs() {
		if url != repo.URL() {
			t.Errorf("the mirror keeps %s", url)
		}
	}
}
