package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// ErrNoCommit says that a repository doesn't have a commit.
var ErrNoCommit = errors.New("the repository doesn't have the commit")

// Commit is who changed something, when and why.
type Commit struct {
	Hash    string    `json:"hash"`
	Author  string    `json:"author"`
	Email   string    `json:"email,omitempty"`
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
}

// Repository is a Git repository whose history can be asked. It is not safe for concurrent use.
type Repository struct {
	dir    string
	repo   *git.Repository
	blamed map[string]*git.BlameResult
}

// Open opens the repository that dir is in: a work tree, a folder in one, or a bare repository.
func Open(dir string) (*Repository, error) {
	repo, err := git.PlainOpen(dir)                               // a bare one isn't found by looking for .git
	if errors.Is(err, git.ErrRepositoryNotExists) || err == nil { // a work tree of a repository with several has its objects elsewhere
		if above, aboveErr := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true}); aboveErr == nil {
			repo, err = above, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the Git repository at %s: %w", dir, err)
	}
	return &Repository{dir: dir, repo: repo, blamed: map[string]*git.BlameResult{}}, nil
}

// Dir is where the repository was opened.
func (r *Repository) Dir() string { return r.dir }

// Credentials are what a server is shown.
type Credentials struct {
	Auth     transport.AuthMethod // nil: anonymous, or for ssh the agent's keys
	CABundle []byte               // PEM, beside the system's
}

// Mirror brings a repository with all of its history below cache, or what is new of it where it is there already and lacks the
// commit, or no commit is given. file:// URLs are opened where they are.
func Mirror(ctx context.Context, cache, url, commit string, with Credentials) (*Repository, error) {
	if endpoint, err := transport.NewEndpoint(url); err == nil && endpoint.Protocol == "file" {
		return Open(endpoint.Path)
	}
	sum := sha256.Sum256([]byte(url))
	dir := filepath.Join(cache, hex.EncodeToString(sum[:12]))
	r, err := Open(dir)
	if err == nil && commit != "" && r.Has(commit) {
		return r, nil
	}
	if err != nil {
		if r, err = emptyMirror(dir, url); err != nil {
			return nil, err
		}
	}
	err = r.repo.FetchContext(ctx, &git.FetchOptions{
		RemoteName: git.DefaultRemoteName, RemoteURL: url, RefSpecs: []config.RefSpec{"+refs/heads/*:refs/heads/*"}, Tags: git.AllTags,
		Auth: with.Auth, CABundle: with.CABundle, Force: true, Prune: true,
	})
	if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil, fmt.Errorf("fetch the history: %w", err)
	}
	return r, nil
}

// emptyMirror begins a mirror. The URL is kept without credentials: they are given with each fetch.
func emptyMirror(dir, url string) (*Repository, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the history: %w", err)
	}
	repo, err := git.PlainInit(dir, true)
	if errors.Is(err, git.ErrRepositoryAlreadyExists) { // begun by one that was interrupted
		repo, err = git.PlainOpen(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("begin a mirror in %s: %w", dir, err)
	}
	if _, err := repo.Remote(git.DefaultRemoteName); errors.Is(err, git.ErrRemoteNotFound) {
		endpoint, err := transport.NewEndpoint(url)
		if err != nil {
			return nil, errors.New("the repository's address is no URL")
		}
		endpoint.User, endpoint.Password = "", ""
		if _, err := repo.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{endpoint.String()}}); err != nil {
			return nil, fmt.Errorf("begin a mirror in %s: %w", dir, err)
		}
	}
	return &Repository{dir: dir, repo: repo, blamed: map[string]*git.BlameResult{}}, nil
}

// Has reports whether the repository has a commit.
func (r *Repository) Has(commit string) bool {
	_, err := r.repo.CommitObject(plumbing.NewHash(commit))
	return err == nil
}

// Read returns a commit.
func (r *Repository) Read(commit string) (Commit, error) {
	c, err := r.commit(commit)
	if err != nil {
		return Commit{}, err
	}
	return describe(c), nil
}

func (r *Repository) commit(name string) (*object.Commit, error) {
	c, err := r.repo.CommitObject(plumbing.NewHash(name))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("%w %.10s", ErrNoCommit, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read commit %.10s: %w", name, err)
	}
	return c, nil
}

func describe(c *object.Commit) Commit {
	return Commit{Hash: c.Hash.String(), Author: c.Author.Name, Email: c.Author.Email, Time: c.Author.When, Subject: subject(c.Message)}
}

// URLs are where the repository was cloned from.
func (r *Repository) URLs() []string {
	remotes, err := r.repo.Remotes()
	if err != nil {
		return nil
	}
	var urls []string
	for _, remote := range remotes {
		urls = append(urls, remote.Config().URLs...)
	}
	return urls
}

// isShallow reports whether the history ends somewhere.
func (r *Repository) isShallow() bool {
	s, ok := r.repo.Storer.(storer.ShallowStorer)
	if !ok {
		return false
	}
	commits, err := s.Shallow()
	return err == nil && len(commits) > 0
}
