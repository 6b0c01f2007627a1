package source

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

// maxTransports bounds the kept connection pools; one per different TLS material and proxy.
const maxTransports = 64

// transports keeps connections to be used again, never across TLS material or proxies.
type transports struct {
	mu   sync.Mutex
	byID map[string]*http.Transport
}

func (t *transports) get(a Auth, p Proxy) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := a.tlsID + " " + p.id
	if known, ok := t.byID[key]; ok {
		return known
	}
	for id, old := range t.byID {
		if len(t.byID) < maxTransports {
			break
		}
		delete(t.byID, id)
		old.CloseIdleConnections()
	}
	tr := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // The standard library's own.
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots}
	if a.certificate != nil {
		tr.TLSClientConfig.Certificates = []tls.Certificate{*a.certificate}
	}
	tr.Proxy = p.function()
	tr.MaxResponseHeaderBytes = 1 << 20
	t.byID[key] = tr
	return tr
}

func (t *transports) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tr := range t.byID {
		tr.CloseIdleConnections()
	}
}

// httpSession speaks Git's smart HTTP protocol.
type httpSession struct {
	inner transport.UploadPackSession
}

func openHTTP(rem *remote, a Auth, p Proxy, lim Limits, pool *transports) (*httpSession, error) {
	ep, err := transport.NewEndpoint(rem.endpoint())
	if err != nil {
		return nil, failf(ReasonURLInvalid, "spec.url can't be used: %w", quote(err, rem.secrets()))
	}
	var method transport.AuthMethod
	switch {
	case a.token != "":
		method = &githttp.TokenAuth{Token: a.token}
	case a.username != "":
		method = &githttp.BasicAuth{Username: a.username, Password: a.password}
	}
	client := &http.Client{Transport: &meteredTransport{base: pool.get(a, p), limits: lim}}
	inner, err := githttp.NewClientWithOptions(client, &githttp.ClientOptions{RedirectPolicy: githttp.FollowInitialRedirects}).NewUploadPackSession(ep, method)
	if err != nil {
		return nil, err
	}
	return &httpSession{inner: inner}, nil
}

func (s *httpSession) advertised(ctx context.Context) (_ *advertised, err error) {
	defer guard(&err)
	ar, err := s.inner.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, err
	}
	return decodeRefs(ar)
}

func (s *httpSession) upload(ctx context.Context, req *packp.UploadPackRequest) (_ *packp.UploadPackResponse, err error) {
	defer guard(&err)
	return s.inner.UploadPack(ctx, req)
}

func (s *httpSession) close() { _ = s.inner.Close() } // Connections go back to the pool by themselves.

// meteredTransport bounds what a server may answer with.
type meteredTransport struct {
	base   http.RoundTripper
	limits Limits
}

func (t *meteredTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusProxyAuthRequired {
		_ = resp.Body.Close() // Its words are the proxy's.
		return nil, errProxyRefused
	}
	body := struct {
		io.Reader
		io.Closer
	}{nil, resp.Body}
	sent := telemetry.Receiving(req.Context(), resp.Body)
	switch {
	case resp.StatusCode >= http.StatusBadRequest:
		body.Reader = io.LimitReader(sent, maxErrorBodyBytes)
	case strings.HasSuffix(req.URL.Path, "/info/refs"):
		body.Reader = &meter{r: sent, left: maxAdvertisedBytes, err: refsLimit()}
	default:
		body.Reader = &meter{r: sent, left: t.limits.MaxPackBytes, err: packLimit(t.limits)}
	}
	resp.Body = body
	return resp, nil
}
