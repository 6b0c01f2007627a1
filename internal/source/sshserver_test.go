package source_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshServer runs git-upload-pack for whoever has the one key.
type sshServer struct {
	t        testing.TB
	r        *repo
	listener net.Listener
	config   *ssh.ServerConfig
	host     ssh.Signer
	sessions atomic.Int64
	// answer, if set, replaces git-upload-pack.
	answer func(ssh.Channel, string) bool
	done   sync.WaitGroup
}

// newKey makes a key pair, in PEM and as a signer.
func newKey(t testing.TB, passphrase string) ([]byte, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return pem.EncodeToMemory(block), signer
}

func serveSSH(t testing.TB, r *repo, allowed ssh.PublicKey) *sshServer {
	t.Helper()
	_, host := newKey(t, "")
	s := &sshServer{t: t, r: r, host: host}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(allowed.Marshal()) {
			return nil, errors.New("not this key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(host)
	var err error
	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.done.Go(s.accept)
	t.Cleanup(func() { _ = s.listener.Close(); s.done.Wait() })
	return s
}

func (s *sshServer) address() string { return s.listener.Addr().String() }

// url has the absolute path, as ssh://HOST/PATH does.
func (s *sshServer) url() string { return "ssh://git@" + s.address() + s.r.tree() }

func (s *sshServer) knownHosts() []byte {
	return []byte(knownhosts.Line([]string{s.address()}, s.host.PublicKey()) + "\n")
}

func (s *sshServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.done.Go(func() { s.serve(conn) })
	}
}

func (s *sshServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		ch, reqs, err := c.Accept()
		if err != nil {
			return
		}
		for req := range reqs {
			if req.Type != "exec" {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			s.sessions.Add(1)
			s.exec(ch, string(req.Payload[4:4+binary.BigEndian.Uint32(req.Payload)]))
			break
		}
		_ = ch.Close()
	}
}

func (s *sshServer) exec(ch ssh.Channel, command string) {
	if s.answer != nil && s.answer(ch, command) {
		return
	}
	cmd := exec.Command("sh", "-c", command)
	if !strings.HasPrefix(command, "git-upload-pack ") {
		return
	}
	cmd.Env = gitEnv()
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	// A pipe of our own: cmd must not wait for the client's end of input.
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	go func() { _, _ = io.Copy(in, ch); _ = in.Close() }()
	status := uint32(0)
	if cmd.Wait() != nil {
		status = 128
	}
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}
