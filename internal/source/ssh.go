package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

// sshSession runs git-upload-pack on a server. It reads no configuration of the
// machine: who may be trusted and what is shown comes from the Secret alone.
type sshSession struct {
	client *ssh.Client
	run    *ssh.Session
	in     io.WriteCloser
	out    *meter
	stderr *headBuffer
	limits Limits
	stop   func() bool
}

func openSSH(ctx context.Context, rem *remote, a Auth, p Proxy, lim Limits) (*sshSession, error) {
	if a.signer == nil || a.hosts == nil {
		return nil, failf(ReasonAuthenticationFailed, "%s needs a Secret with identity and known_hosts: create it and name it in spec.secretRef", rem)
	}
	address := rem.address("22")
	conn, err := p.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	// The ssh package knows no contexts: closing the connection ends everything.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := handshake(conn, address, rem, a)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	s := &sshSession{client: client, limits: lim, stop: stop, stderr: &headBuffer{}}
	if err := s.start(ctx, rem); err != nil {
		s.close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
}

func handshake(conn net.Conn, address string, rem *remote, a Auth) (*ssh.Client, error) {
	var hostKey error
	config := &ssh.ClientConfig{
		User:              cmp.Or(rem.user, "git"),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(a.signer)},
		HostKeyAlgorithms: a.hosts.algorithms(address),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			hostKey = a.hosts.check(address, key)
			return hostKey
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	switch {
	case hostKey != nil:
		return nil, hostKey
	case err != nil && strings.Contains(err.Error(), "unable to authenticate"):
		return nil, transport.ErrAuthorizationFailed
	case err != nil && strings.Contains(err.Error(), "no common algorithm for host key"):
		return nil, failf(ReasonAuthenticationFailed, "%w: %s has none of the kinds of key that known_hosts lists for it (%s): add the line that ssh-keyscan prints", ErrHostKey, address, strings.Join(config.HostKeyAlgorithms, ", "))
	case err != nil:
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

func (s *sshSession) start(ctx context.Context, rem *remote) (err error) {
	if s.run, err = s.client.NewSession(); err != nil {
		return err
	}
	if s.in, err = s.run.StdinPipe(); err != nil {
		return err
	}
	out, err := s.run.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = &meter{r: telemetry.Receiving(ctx, out), left: maxAdvertisedBytes, err: refsLimit()}
	s.run.Stderr = s.stderr
	return s.run.Start("git-upload-pack " + shellQuote(rem.path))
}

// shellQuote makes one word of a path for any shell on the other side, the way
// Git does.
func shellQuote(p string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(p) + "'"
}

func (s *sshSession) advertised(ctx context.Context) (_ *advertised, err error) {
	defer guard(&err)
	ar := packp.NewAdvRefs()
	err = ar.Decode(s.out)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && ar.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case errors.Is(err, packp.ErrEmptyInput):
		return nil, s.refusal()
	case err != nil:
		return nil, asNotFound(err)
	}
	transport.FilterUnsupportedCapabilities(ar.Capabilities)
	return decodeRefs(ar)
}

// refusal is what the server said instead of an answer.
func (s *sshSession) refusal() error {
	_ = s.run.Wait() // Its exit status says less than its words, which are complete now.
	words := strings.TrimSpace(s.stderr.String())
	if words == "" {
		return io.ErrUnexpectedEOF
	}
	return asNotFound(errors.New(words))
}

// asNotFound recognises how the well-known servers say that there is no such
// repository.
func asNotFound(err error) error {
	text := strings.ToLower(err.Error())
	for _, s := range []string{"not found", "does not exist", "does not appear to be a git repository", "could not be found", "no such repository"} {
		if strings.Contains(text, s) {
			return fmt.Errorf("%w: %w", transport.ErrRepositoryNotFound, err)
		}
	}
	return err
}

func (s *sshSession) upload(ctx context.Context, req *packp.UploadPackRequest) (_ *packp.UploadPackResponse, err error) {
	defer guard(&err)
	var words bytes.Buffer
	if err := req.UploadRequest.Encode(&words); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if err := req.UploadHaves.Encode(&words, false); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if err := pktline.NewEncoder(&words).EncodeString("done\n"); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if _, err := s.in.Write(words.Bytes()); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	s.out.left, s.out.err = s.limits.MaxPackBytes, packLimit(s.limits)
	resp := packp.NewUploadPackResponse(req)
	if err := resp.Decode(io.NopCloser(s.out)); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	return resp, nil
}

func (s *sshSession) close() {
	s.stop()
	if s.run != nil {
		_ = s.run.Close()
	}
	_ = s.client.Close()
}

// headBuffer keeps the first few bytes of what is written to it.
type headBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *headBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := maxErrorBodyBytes - b.buf.Len(); n > 0 {
		b.buf.Write(p[:min(n, len(p))])
	}
	return len(p), nil
}

func (b *headBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
