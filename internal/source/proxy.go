package source

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	xproxy "golang.org/x/net/proxy"
)

// Proxy is what stands between the agent and a server. The zero value takes what HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the agent
// say, and for SSH a direct connection. It prints without its credentials.
type Proxy struct {
	url *url.URL
	// id is a hash of the Secret: what came through one proxy is kept apart from what came another way, because a proxy may put its own
	// server in the place of the one that the URL names.
	id string
}

// ProxyFromSecret reads the Secret that spec.proxySecretRef names: address (http://, https:// or socks5://HOST:PORT), and username
// and password if the proxy asks for them. Errors are *[Error] and never tell what a key holds.
func ProxyFromSecret(data map[string][]byte) (Proxy, error) {
	refuse := func(text string) (Proxy, error) {
		return Proxy{}, failf(ReasonAuthenticationFailed, "the Secret that spec.proxySecretRef names can't be used: %s", text)
	}
	raw := strings.TrimSpace(string(data["address"]))
	if raw == "" {
		return refuse("address is missing: set it to http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return refuse("address is no URL of a proxy: write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
	}
	u.Scheme, u.Path = strings.ToLower(u.Scheme), ""
	if !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return refuse("the scheme of address must be http, https or socks5")
	}
	username, password := string(data["username"]), string(data["password"])
	if username == "" && password != "" {
		return refuse("there is a password and no username: set both")
	}
	if username != "" {
		u.User = url.UserPassword(username, password)
	}
	return Proxy{url: u, id: hashSecret(map[string][]byte{"proxy": []byte(u.String())}, "proxy")}, nil
}

// function is what an HTTP transport asks for its proxy.
func (p Proxy) function() func(*http.Request) (*url.URL, error) {
	if p.url == nil {
		return http.ProxyFromEnvironment
	}
	return http.ProxyURL(p.url)
}

var (
	errProxyRefused = errors.New("the proxy refused the credentials, or asks for some")
	errProxyAnswer  = errors.New("the proxy doesn't connect to the server")
)

// refused recognises the ways in which a proxy says that it wants other credentials.
func (p Proxy) refused(err error) bool {
	if p.url == nil {
		return false
	}
	text := err.Error()
	return errors.Is(err, errProxyRefused) || strings.Contains(text, "Proxy Authentication Required") ||
		p.url.Scheme == "socks5" && (strings.Contains(text, "username/password") || strings.Contains(text, "no acceptable authentication methods"))
}

// dial makes a connection for a protocol other than HTTP.
func (p Proxy) dial(ctx context.Context, address string) (net.Conn, error) {
	direct := &net.Dialer{}
	if p.url == nil {
		return direct.DialContext(ctx, "tcp", address)
	}
	at := p.url.Host
	if p.url.Port() == "" {
		at = net.JoinHostPort(p.url.Hostname(), map[string]string{"http": "80", "https": "443", "socks5": "1080"}[p.url.Scheme])
	}
	if p.url.Scheme == "socks5" {
		return p.dialSOCKS(ctx, at, address)
	}
	conn, err := direct.DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if p.url.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.url.Hostname()})
	}
	tunnel, err := p.connect(conn, address)
	if err != nil {
		_ = conn.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return tunnel, nil
}

func (p Proxy) dialSOCKS(ctx context.Context, at, address string) (net.Conn, error) {
	var auth *xproxy.Auth
	if u := p.url.User; u != nil {
		password, _ := u.Password()
		auth = &xproxy.Auth{User: u.Username(), Password: password}
	}
	d, err := xproxy.SOCKS5("tcp", at, auth, &net.Dialer{})
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	conn, err := d.(xproxy.ContextDialer).DialContext(ctx, "tcp", address) //nolint:forcetypeassert // The library says so.
	if err != nil {
		return nil, fmt.Errorf("connect through the proxy: %w", err)
	}
	return conn, nil
}

// connect asks an HTTP proxy for a tunnel (RFC 9110, 9.3.6).
func (p Proxy) connect(conn net.Conn, address string) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := p.url.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("ask the proxy: %w", err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(headOnly{in}, maxErrorBodyBytes)), req)
	if err != nil {
		return nil, fmt.Errorf("the proxy's answer can't be read: %w", err)
	}
	_ = resp.Body.Close() // A tunnel has none.
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, errProxyRefused
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("%w: %s", errProxyAnswer, resp.Status)
	}
	return &bufferedConn{Conn: conn, in: in}, nil
}

// headOnly gives a byte at a time, so that what reads a head takes nothing of what follows it.
type headOnly struct{ r *bufio.Reader }

func (h headOnly) Read(p []byte) (int, error) { return h.r.Read(p[:min(1, len(p))]) }

// bufferedConn begins with what was read ahead.
type bufferedConn struct {
	net.Conn
	in *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// secrets lists what must not be seen of the proxy's URL.
func (p Proxy) secrets() []string {
	if p.url == nil || p.url.User == nil {
		return nil
	}
	password, _ := p.url.User.Password()
	out := append(spellings(password), p.url.User.String())
	if password != "" {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(p.url.User.Username()+":"+password)))
	}
	return out
}

// way is for messages about what may be the proxy's fault.
func (p Proxy) way() string {
	if p.url == nil {
		return ""
	}
	return " (through the " + p.String() + ")"
}

// String is the proxy's address without credentials.
func (p Proxy) String() string {
	if p.url == nil {
		return "proxy: of the environment"
	}
	return "proxy: " + p.url.Scheme + "://" + p.url.Host
}

// GoString keeps %#v from printing the fields.
func (p Proxy) GoString() string { return p.String() }

// LogValue keeps structured logs from printing the fields.
func (p Proxy) LogValue() slog.Value { return slog.StringValue(p.String()) }
