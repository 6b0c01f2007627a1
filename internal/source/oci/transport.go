package oci

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// maxConnections bounds the kept logins and connection pools. Who is put out logs in again.
const maxConnections = 256

// connections keeps what a login cost: the registry's answer to the first question, its token, and open connections. They are
// never shared between different credentials, certificates or proxies.
type connections struct {
	mu   sync.Mutex
	all  map[string]*connection
	uses int64 // counts, to know which was used last
}

type connection struct {
	puller *remote.Puller
	base   *http.Transport
	used   int64
}

// to returns the way to a repository's registry for some credentials.
func (c *connections) to(repo name.Repository, a Auth, insecure bool) (*connection, error) {
	login, nth := a.loginFor(repo)
	key := fmt.Sprintf("%s %s %q %d %t", repo.RegistryStr(), repo.Scheme(), a.id, nth, insecure)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uses++
	if known, ok := c.all[key]; ok {
		known.used = c.uses
		return known, nil
	}
	c.makeRoom()
	fresh, err := newConnection(repo, a, login, insecure)
	if err != nil {
		return nil, err
	}
	fresh.used = c.uses
	c.all[key] = fresh
	return fresh, nil
}

// makeRoom is called with mu held.
func (c *connections) makeRoom() {
	for len(c.all) >= maxConnections {
		oldest := ""
		for key, conn := range c.all {
			if oldest == "" || conn.used < c.all[oldest].used {
				oldest = key
			}
		}
		c.all[oldest].base.CloseIdleConnections()
		delete(c.all, oldest)
	}
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, conn := range c.all {
		conn.base.CloseIdleConnections()
		delete(c.all, key)
	}
}

func newConnection(repo name.Repository, a Auth, login authn.Authenticator, insecure bool) (*connection, error) {
	opts, base := registryOptions(a, login, insecure)
	puller, err := remote.NewPuller(opts...)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", repo.RegistryStr(), err)
	}
	return &connection{puller: puller, base: base}, nil
}

// registryOptions say how a registry is reached.
func registryOptions(a Auth, login authn.Authenticator, insecure bool) ([]remote.Option, *http.Transport) {
	base := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // The standard library's own.
	base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots}
	if a.certificate != nil {
		base.TLSClientConfig.Certificates = []tls.Certificate{*a.certificate}
	}
	// As Flux has it: who sets insecure and names no certificates wants no question asked.
	base.TLSClientConfig.InsecureSkipVerify = insecure && a.roots == nil && a.certificate == nil //nolint:gosec // Asked for by spec.insecure.
	if a.proxy != nil {
		base.Proxy = http.ProxyURL(a.proxy)
	}
	base.MaxResponseHeaderBytes = 1 << 20
	return []remote.Option{
		remote.WithTransport(&guarded{base: base, insecure: insecure}),
		remote.WithAuth(login),
		remote.WithUserAgent("slipway"),
		// The reconciler tries again by itself, with longer pauses, and without holding anything meanwhile.
		remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 1}),
		remote.WithRetryStatusCodes(),
	}, base
}

// errPlain: the registry speaks plain HTTP and nobody allowed that.
var errPlain = errors.New("plain HTTP is not allowed")

// guarded refuses plain HTTP unless it was asked for, and hears when a registry wants to be left alone.
type guarded struct {
	base     http.RoundTripper
	insecure bool
}

func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !g.insecure {
		return nil, errPlain
	}
	resp, err := g.base.RoundTrip(req)
	if err != nil {
		var broken *url.Error
		if errors.As(err, &broken) {
			err = broken.Err // Its URL may hold the proxy's password.
		}
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{telemetry.Receiving(req.Context(), resp.Body), resp.Body}
	if req.Context().Value(blobKey{}) == nil {
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	}
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return resp, nil
	}
	after, asked := retryAfter(resp.Header.Get("Retry-After"))
	if !asked && resp.StatusCode == http.StatusServiceUnavailable {
		return resp, nil
	}
	_ = resp.Body.Close() // Nothing in it is of use.
	return nil, &throttled{status: resp.StatusCode, after: cmp.Or(after, defaultThrottle)}
}

// blobKey marks the context of a request for a blob, whose size is bounded elsewhere.
type blobKey struct{}

func blobContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, blobKey{}, true)
}

// maxAnswer bounds one answer that is no blob: a manifest, a page of tags, a token. It is in memory as a whole.
const maxAnswer = 8 << 20

// bounded ends with an error where more than left bytes come.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &source.LimitError{Limit: "answer", Value: maxAnswer, What: "a manifest or list of the registry", Advice: "look at what is wrong with the registry"}
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	return n, err
}

const (
	// defaultThrottle is the pause when a registry says "too many requests" and no more.
	defaultThrottle = 30 * time.Second
	// maxThrottle bounds it whatever the registry says.
	maxThrottle = 15 * time.Minute
)

// throttled says that a registry wants to be left alone for a while.
type throttled struct {
	status int
	after  time.Duration
}

func (t *throttled) Error() string {
	return fmt.Sprintf("retry after %s (status %d)", t.after, t.status)
}

// retryAfter reads the header of RFC 9110, 10.2.3: seconds, or a date.
func retryAfter(header string) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, int(maxThrottle/time.Second)))*time.Second, maxThrottle), true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return min(max(time.Until(at).Round(time.Second), time.Second), maxThrottle), true
}

func isThrottled(err error) bool {
	var throttle *throttled
	return errors.As(err, &throttle)
}

// isStatus tells whether a registry answered with one of the statuses.
func isStatus(err error, codes ...int) bool {
	var status *transport.Error
	if !errors.As(err, &status) {
		return false
	}
	for _, code := range codes {
		if status.StatusCode == code {
			return true
		}
	}
	return false
}
