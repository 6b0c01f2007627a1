package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// DefaultBranch is the branch of a new repository and of a Change without one.
const DefaultBranch = "main"

// Repo is one repository of a server. Its methods commit straight to the bare
// repository, as a push would, and may be used beside pushes.
type Repo struct {
	server *Server
	name   string
	dir    string
	mu     sync.Mutex
}

// Name is the repository's name, without .git.
func (r *Repo) Name() string { return r.name }

// Dir is the bare repository on disk; file://DIR is a URL that git clones.
func (r *Repo) Dir() string { return r.dir }

// URL is the repository's address on the server's first listener, without
// credentials.
func (r *Repo) URL() string {
	return (&url.URL{Scheme: "http", Host: r.server.addr[0], Path: "/" + r.name + ".git"}).String()
}

// URLAt is URL under another host name, for those who reach the first
// listener's port by it: a pod that knows the machine as
// host.slipway.internal, for one.
func (r *Repo) URLAt(host string) string {
	_, port, _ := net.SplitHostPort(r.server.addr[0])
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/" + r.name + ".git"}).String()
}

// Head returns the commit a branch points to.
func (r *Repo) Head(ctx context.Context, branch string) (string, error) {
	return r.run(ctx, nil, "rev-parse", "--verify", "refs/heads/"+branch)
}

// Tag names a commit, replacing a tag of that name. A message makes it an
// annotated tag.
func (r *Repo) Tag(ctx context.Context, name, commit, message string) error {
	args := []string{"tag", "--force", name, commit}
	if message != "" {
		args = []string{"tag", "--force", "--annotate", "--message", message, name, commit}
	}
	_, err := r.run(ctx, nil, args...)
	return err
}

// Reset points a branch at a commit, back in history too, as a forced push
// does. Commits that nothing names any more are gone from the repository.
func (r *Repo) Reset(ctx context.Context, branch, commit string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.run(ctx, nil, "update-ref", "refs/heads/"+branch, commit); err != nil {
		return err
	}
	_, err := r.run(ctx, nil, "gc", "--quiet", "--prune=now")
	return err
}

// Commit writes files (path → content) on top of the main branch and returns
// the new commit.
func (r *Repo) Commit(ctx context.Context, files map[string]string, message string) (string, error) {
	return r.Apply(ctx, Change{Files: files, Message: message})
}

// Remove deletes files or folders from the main branch and returns the new
// commit.
func (r *Repo) Remove(ctx context.Context, message string, paths ...string) (string, error) {
	return r.Apply(ctx, Change{Remove: paths, Message: message})
}

// Files reads a folder into what Commit takes, with each path below prefix.
func Files(dir fs.FS, prefix string) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(filepath.Join(prefix, path))] = string(data)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read files to commit: %w", err)
	}
	return files, nil
}

// init creates the bare repository unless it is there, and lets pushes in.
func (r *Repo) init(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(r.dir, 0o755); err != nil {
			return err
		}
		if _, err := r.run(ctx, nil, "init", "--quiet", "--bare", "--initial-branch", DefaultBranch); err != nil {
			return err
		}
	}
	for key, value := range map[string]string{
		"http.receivepack":              "true",
		"uploadpack.allowFilter":        "true",
		"uploadpack.allowAnySHA1InWant": "true",
		"user.name":                     committerName,
		"user.email":                    committerEmail,
	} {
		if _, err := r.run(ctx, nil, "config", key, value); err != nil {
			return err
		}
	}
	return nil
}

// run calls git in the repository and returns what it printed.
func (r *Repo) run(ctx context.Context, stdin []byte, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, r.server.git, args...)
	cmd.Dir, cmd.Env = r.dir, append(gitEnv(), "GIT_DIR="+r.dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], r.name, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
