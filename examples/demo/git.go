package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

const (
	gitComponent = "git-server"
	gitPort      = "9418"
	repoName     = "shop"
)

// serveGit is the Git server's own process. It goes on when the demo has
// ended, and ends with the lab.
func serveGit(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(serveCommand, flag.ContinueOnError)
	dir := flags.String("dir", "repositories", "folder of the repositories")
	name := flags.String("name", "demo", "lab whose pods shall reach the server")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	l, err := lab.Open(*name)
	if err != nil {
		return err
	}
	if l.Nodes() != lab.Real {
		return fmt.Errorf("lab %s has no real nodes, so no pod can reach this machine: make one with slipway up --nodes real", *name)
	}
	server, err := gitserver.Start(gitserver.Options{Dir: *dir, Listen: []string{gitAddress(l)}})
	if err != nil {
		return err
	}
	repo, err := server.Repo(ctx, repoName)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	fmt.Printf("serving %s, for pods %s\n", repo.URL(), repo.URLAt(lab.HostName))
	<-ctx.Done()
	return server.Close()
}

// gitAddress is where a lab's Git server listens: where the lab's pods reach
// this machine, and others don't.
func gitAddress(l *lab.Lab) string { return net.JoinHostPort(l.Gateway().String(), gitPort) }

// startGit runs the Git server on the lab's gateway address, where pods reach
// it too, as one more process of the lab. One of an earlier run is replaced.
func (d *demo) startGit(ctx context.Context) error {
	if err := d.stopGit(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	err = process.Start(ctx, process.Spec{
		Lab: d.lab.Dir(), Name: gitComponent, Program: self, Dir: d.lab.Dir(), Log: d.folder("git.log"),
		Args: []string{serveCommand, "-dir", d.folder("repositories"), "-name", d.labName},
	})
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		_, last = git(ctx, "", "ls-remote", d.gitURL())
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w\n%s", err, last, process.Tail(d.folder("git.log"), 5))
	}
	return nil
}

func (d *demo) stopGit(ctx context.Context) error {
	running, err := process.Find(d.lab.Dir())
	if err != nil {
		return err
	}
	for _, p := range running {
		if p.Name == gitComponent {
			if err := process.Stop(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// gitURL is the repository's address for people on this machine.
func (d *demo) gitURL() string { return "http://" + gitAddress(d.lab) + "/" + repoName + ".git" }

// gitURLForPods is the same, under the name by which pods know this machine.
func (d *demo) gitURLForPods() string {
	return "http://" + net.JoinHostPort(lab.HostName, gitPort) + "/" + repoName + ".git"
}

// clone is a person's working copy of the repository.
type clone struct{ dir string }

// openClone returns a working copy that is where the server is, whatever state
// an earlier run has left one in.
func openClone(ctx context.Context, dir, url string) (*clone, error) {
	c := &clone{dir: dir}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove the working copy of an earlier run: %w", err)
	}
	if _, err := git(ctx, "", "clone", "--quiet", url, dir); err != nil {
		return nil, err
	}
	// For those who commit in it by hand later and have said no name to git.
	for key, value := range map[string]string{"user.name": "Slipway Demo", "user.email": "demo@slipway.dev"} {
		if _, err := git(ctx, dir, "config", key, value); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// replace puts files in the place of everything that is there.
func (c *clone) replace(files map[string]string) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.dir, e.Name())); err != nil {
			return err
		}
	}
	for path, text := range files {
		if err := c.write(path, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *clone) write(path, text string) error {
	full := filepath.Join(c.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, []byte(text), 0o644)
}

func (c *clone) read(path string) (string, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the repository has no %s: %w", path, err)
	}
	return string(data), err
}

// push commits what was changed, if anything was, pushes it, and returns the
// revision that Slipway will speak of.
func (c *clone) push(ctx context.Context, message string) (revision string, err error) {
	for _, args := range [][]string{
		{"checkout", "--quiet", "-B", gitserver.DefaultBranch},
		{"add", "--all"},
		{"commit", "--quiet", "--allow-empty", "--message", message},
		{"push", "--quiet", "origin", gitserver.DefaultBranch},
	} {
		if _, err := git(ctx, c.dir, args...); err != nil {
			return "", err
		}
	}
	return c.revision(ctx)
}

// revert undoes the last commit and pushes that.
func (c *clone) revert(ctx context.Context) (revision string, err error) {
	if _, err := git(ctx, c.dir, "revert", "--no-edit", "HEAD"); err != nil {
		return "", err
	}
	if _, err := git(ctx, c.dir, "push", "--quiet", "origin", gitserver.DefaultBranch); err != nil {
		return "", err
	}
	return c.revision(ctx)
}

func (c *clone) revision(ctx context.Context) (string, error) {
	sha, err := git(ctx, c.dir, "rev-parse", "HEAD")
	return gitserver.DefaultBranch + "@sha1:" + sha, err
}

// git runs the git command without this user's configuration, and straight to
// the server: a proxy of the machine's doesn't know the lab.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"http_proxy=", "HTTP_PROXY=", "all_proxy=", "ALL_PROXY=")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
