package gitserver

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshFront serves clones and pushes over SSH to those whose key it knows.
type sshFront struct {
	server   *Server
	listener net.Listener
	config   *ssh.ServerConfig
	hostKey  ssh.PublicKey
	wg       sync.WaitGroup

	mu         sync.Mutex
	authorized map[string]bool // by the key's wire form
	open       map[net.Conn]bool
}

func newSSHFront(s *Server) (*sshFront, error) {
	signer, err := hostKey(filepath.Join(s.opts.Dir, "ssh_host_ed25519_key"))
	if err != nil {
		return nil, fmt.Errorf("host key for SSH: %w", err)
	}
	l, err := net.Listen("tcp", s.opts.SSHListen)
	if err != nil {
		return nil, fmt.Errorf("listen for SSH on %s: %w", s.opts.SSHListen, err)
	}
	f := &sshFront{server: s, listener: l, hostKey: signer.PublicKey(), authorized: map[string]bool{}, open: map[net.Conn]bool{}}
	f.config = &ssh.ServerConfig{PublicKeyCallback: f.check}
	f.config.AddHostKey(signer)
	return f, nil
}

// SSHURL is the repository's address over SSH; empty without Options.SSHListen.
func (r *Repo) SSHURL() string {
	if r.server.ssh == nil {
		return ""
	}
	host := r.server.ssh.listener.Addr().String()
	return (&url.URL{Scheme: "ssh", User: url.User("git"), Host: host, Path: "/" + r.name + ".git"}).String()
}

// KnownHosts is the line of a known_hosts file that vouches for the server;
// empty without Options.SSHListen.
func (s *Server) KnownHosts() string {
	if s.ssh == nil {
		return ""
	}
	return knownhosts.Line([]string{s.ssh.listener.Addr().String()}, s.ssh.hostKey) + "\n"
}

// NewSSHKey makes a key that may read and write every repository over SSH, and
// returns its private part as an OpenSSH PEM file.
func (s *Server) NewSSHKey() ([]byte, error) {
	if s.ssh == nil {
		return nil, errors.New("the server has no SSH: set Options.SSHListen")
	}
	private, signer, err := newKey()
	if err != nil {
		return nil, err
	}
	s.ssh.mu.Lock()
	defer s.ssh.mu.Unlock()
	s.ssh.authorized[string(signer.PublicKey().Marshal())] = true
	return private, nil
}

func (f *sshFront) check(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.authorized[string(key.Marshal())] {
		return nil, errors.New("key isn't known here")
	}
	return &ssh.Permissions{}, nil
}

// serve accepts connections until the listener closes.
func (f *sshFront) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.open[conn] = true
		f.mu.Unlock()
		f.wg.Go(func() {
			f.connection(conn)
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.open, conn)
		})
	}
}

func (f *sshFront) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	for conn := range f.open {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
	return err
}

func (f *sshFront) connection(raw net.Conn) {
	defer raw.Close()
	conn, channels, requests, err := ssh.NewServerConn(raw, f.config)
	if err != nil {
		f.server.opts.Log.Debug("SSH handshake", "error", err)
		return
	}
	defer conn.Close()
	f.wg.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		session, requests, err := ch.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.session(session, requests) })
	}
}

// session answers one exec request, which is all git asks for, after the
// protocol version it may send as an environment variable.
func (f *sshFront) session(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	var protocol string
	for req := range requests {
		switch req.Type {
		case "env":
			var env struct{ Name, Value string }
			if ssh.Unmarshal(req.Payload, &env) == nil && env.Name == "GIT_PROTOCOL" {
				protocol = env.Value
			}
			_ = req.Reply(true, nil)
		case "exec":
			var run struct{ Command string }
			if err := ssh.Unmarshal(req.Payload, &run); err != nil {
				_ = req.Reply(false, nil)
				return
			}
			_ = req.Reply(true, nil)
			status := struct{ Status uint32 }{f.exec(ch, run.Command, protocol)}
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(&status))
			return
		default:
			_ = req.Reply(false, nil)
		}
	}
}

// exec runs the git service a client named on a repository of the server.
func (f *sshFront) exec(ch ssh.Channel, command, protocol string) uint32 {
	m := regexp.MustCompile(`^git[- ](upload-pack|receive-pack) '/?([A-Za-z0-9_][A-Za-z0-9._-]*?)(?:\.git)?'$`).FindStringSubmatch(command)
	if m == nil {
		fmt.Fprintln(ch.Stderr(), "only git clone, fetch and push work here")
		return 1
	}
	dir := filepath.Join(f.server.opts.Dir, m[2]+".git")
	if _, err := os.Stat(dir); err != nil {
		fmt.Fprintf(ch.Stderr(), "repository %s not found\n", m[2])
		return 1
	}
	cmd := exec.Command(f.server.git, m[1], dir)
	cmd.Env = append(gitEnv(), "GIT_PROTOCOL="+protocol)
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	if err := cmd.Start(); err != nil {
		return 1
	}
	// The copy ends with the channel, which session closes after this.
	f.wg.Go(func() {
		_, _ = io.Copy(stdin, ch)
		_ = stdin.Close()
	})
	if err := cmd.Wait(); err != nil {
		return 1
	}
	return 0
}

// hostKey reads the server's key, or makes it the first time, so that a server
// that starts again on its folder is known to its clients.
func hostKey(path string) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return ssh.ParsePrivateKey(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, signer, err := newKey()
	if err != nil {
		return nil, err
	}
	return signer, os.WriteFile(path, data, 0o600)
}

func newKey() (private []byte, signer ssh.Signer, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, strings.ToLower(committerName))
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	signer, err = ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("use key: %w", err)
	}
	return pem.EncodeToMemory(block), signer, nil
}
