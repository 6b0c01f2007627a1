package gitserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// shutdownGrace is how long a clone that is under way may take to finish when
// the server closes.
const shutdownGrace = 2 * time.Second

// Options say where a server listens and who may use it.
type Options struct {
	// Dir holds the repositories, one folder NAME.git each. It is created when
	// absent; repositories found in it are served.
	Dir string
	// Listen are the host:port addresses for HTTP; port 0 picks a free one.
	// Default: 127.0.0.1:0.
	Listen []string
	// Username and Password, when either is set, are asked of every HTTP request.
	Username, Password string
	// SSHListen is the host:port for SSH. Empty: no SSH.
	SSHListen string
	// Log receives what goes wrong while serving. Default: nothing is logged.
	Log *slog.Logger
}

// Server serves the repositories of one folder until Close.
type Server struct {
	opts Options
	git  string
	addr []string
	http *http.Server
	ssh  *sshFront
	wg   sync.WaitGroup

	mu    sync.Mutex
	repos map[string]*Repo
}

// Start listens on every address of opts and serves from then on. It fails
// when there is no git binary or an address can't be had.
func Start(opts Options) (*Server, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if len(opts.Listen) == 0 {
		opts.Listen = []string{"127.0.0.1:0"}
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git, install it with `apt-get install git`: %w", err)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve folder %q: %w", opts.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder for repositories: %w", err)
	}
	opts.Dir = dir
	s := &Server{opts: opts, git: git, repos: map[string]*Repo{}}
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) listen() error {
	for _, addr := range s.opts.Listen {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("listen for HTTP on %s: %w", addr, err)
		}
		s.addr = append(s.addr, l.Addr().String())
		s.wg.Go(func() {
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.opts.Log.Error("git over HTTP stopped", "address", addr, "error", err)
			}
		})
	}
	if s.opts.SSHListen == "" {
		return nil
	}
	front, err := newSSHFront(s)
	if err != nil {
		return err
	}
	s.ssh = front
	s.wg.Go(front.serve)
	return nil
}

// Close stops listening, lets running transfers finish for a moment, and waits
// for everything the server started. The repositories stay on disk.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if s.ssh != nil {
		err = errors.Join(err, s.ssh.close())
	}
	s.wg.Wait()
	return err
}

// Addresses are the host:port pairs the server listens on for HTTP, in the
// order of Options.Listen.
func (s *Server) Addresses() []string { return append([]string(nil), s.addr...) }

// Repo returns the repository of that name, with branch main checked out by
// clones; it is created empty when it isn't there. A name is made of letters,
// digits, dots, dashes and underscores.
func (s *Server) Repo(ctx context.Context, name string) (*Repo, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`).MatchString(name) {
		return nil, fmt.Errorf("repository name %q: use letters, digits, dots, dashes and underscores", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.repos[name]; ok {
		return r, nil
	}
	r := &Repo{server: s, name: name, dir: filepath.Join(s.opts.Dir, name+".git")}
	if err := r.init(ctx); err != nil {
		return nil, fmt.Errorf("create repository %s: %w", name, err)
	}
	s.repos[name] = r
	return r, nil
}

// authorized tells whether the request carries the server's credentials.
func (s *Server) authorized(r *http.Request) bool {
	if s.opts.Username == "" && s.opts.Password == "" {
		return true
	}
	user, pass, _ := r.BasicAuth()
	sameUser := subtle.ConstantTimeCompare([]byte(user), []byte(s.opts.Username))
	samePass := subtle.ConstantTimeCompare([]byte(pass), []byte(s.opts.Password))
	return sameUser&samePass == 1
}
