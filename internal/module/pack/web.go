package pack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// web downloads from web servers.
type web struct {
	store  *source.Store
	client *http.Client
	known  *indexes
}

const (
	maxRedirects   = 5
	connectTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second // to the headers; the rest takes as long as the context allows
)

func newWeb(store *source.Store) *web {
	return &web{store: store, client: newClient(nil), known: &indexes{all: map[string]index{}}}
}

func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: answerTimeout, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 1 << 20, ForceAttemptHTTP2: true,
			DisableCompression: true, // The digest is that of the bytes as they are stored.
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return errors.New("it redirects too often")
			case via[0].URL.Scheme == "https" && next.URL.Scheme != "https":
				return errors.New("it redirects to an address without TLS")
			}
			if next.URL.Scheme != via[0].URL.Scheme || next.URL.Host != via[0].URL.Host {
				next.Header.Del("Authorization") // net/http would show it to another port, and to subdomains
			}
			return nil
		},
	}
}

func (w *web) close() { w.client.CloseIdleConnections() }

// question is what a web server is asked for.
type question struct {
	address *url.URL
	// credentials are shown to the server of home only.
	credentials Credentials
	home        *url.URL
	// etag is what the answer is called that is known already; empty for none.
	etag string
	// digest that the content must have; empty for any.
	digest string
	limits source.Limits
}

// errUnchanged: the answer is the one that is known.
var errUnchanged = errors.New("not modified")

// parseAddress reads an http(s) address. Its text may hold a password, so no error quotes it.
func parseAddress(raw, field string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is no http:// or https:// address: correct it", field)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s holds a login: put username and password into the Secret that the source's secretRef names", field)
	}
	return u, nil
}

// shown is an address without what could be a token in it.
func shown(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// get receives what a server has. It gives the entity tag of it, too.
func (w *web) get(ctx context.Context, q question) (*source.Download, string, error) {
	client, own, err := w.clientFor(q)
	if err != nil {
		return nil, "", err
	}
	if own {
		defer client.CloseIdleConnections()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, q.address.String(), nil)
	if err != nil {
		return nil, "", fmt.Errorf("%s can't be asked for", shown(q.address))
	}
	request.Header.Set("User-Agent", "slipway")
	if q.etag != "" {
		request.Header.Set("If-None-Match", q.etag)
	}
	if name, password := string(q.credentials.Secret["username"]), string(q.credentials.Secret["password"]); name != "" && q.atHome() {
		request.SetBasicAuth(name, password)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", w.unreachable(q, err)
	}
	defer response.Body.Close()
	if err := w.refusal(q, response); err != nil {
		return nil, "", err
	}
	d, err := w.store.Receive(ctx, telemetry.Receiving(ctx, response.Body), q.digest, q.limits)
	if err != nil {
		return nil, "", w.unreachable(q, err)
	}
	return d, response.Header.Get("ETag"), nil
}

// atHome says whether the address is that of the server that the credentials are for.
func (q question) atHome() bool {
	return q.home.Scheme == q.address.Scheme && q.home.Host == q.address.Host
}

// clientFor returns a client that trusts what the Secret says, which isn't shared.
func (w *web) clientFor(q question) (_ *http.Client, own bool, _ error) {
	ca := q.credentials.Secret["ca.crt"]
	if len(ca) == 0 || !q.atHome() {
		return w.client, false, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(ca) {
		return nil, false, errors.New("ca.crt in the source's Secret holds no certificate in PEM form")
	}
	return newClient(roots), true, nil
}

// refusal explains a status that isn't the content.
func (w *web) refusal(q question, response *http.Response) error {
	at := shown(q.address)
	switch code := response.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotModified && q.etag != "":
		return errUnchanged
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%s refuses %s (%d): check username and password in the source's Secret", at, q.credentials, code)
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: %s answers %d", ErrNoVersion, at, code)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= http.StatusInternalServerError:
		return &Unavailable{Err: fmt.Errorf("%s answers %d %s; it is asked again", at, code, http.StatusText(code))}
	default:
		return fmt.Errorf("%s answers %d %s: check the source's address", at, code, http.StatusText(code))
	}
}

// unreachable says who didn't answer. What the store refuses (too large, another digest) is about the content.
func (w *web) unreachable(q question, err error) error {
	var typed *source.Error
	if errors.As(err, &typed) {
		return err
	}
	var wrapped *url.Error // it would say the address again, with its query
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	secrets := []string{string(q.credentials.Secret["password"])}
	if q.address.RawQuery != "" {
		secrets = append(secrets, q.address.RawQuery)
	}
	return &Unavailable{Err: fmt.Errorf("download from %s: %w", shown(q.address), source.Quote(err, secrets...))}
}
