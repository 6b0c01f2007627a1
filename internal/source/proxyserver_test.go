package source_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxyServer is an HTTP proxy for requests and tunnels. Names that end in .test lead to the address that it is given.
type proxyServer struct {
	*httptest.Server
	user, password string // asked for if set
	used           atomic.Int64
	t              testing.TB
	resolve        func(host string) string
}

// asName gives a server a name that only the proxies know.
func asName(server string) (name string, resolve func(string) string) {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	return "git.test:" + u.Port(), func(host string) string {
		if strings.HasPrefix(host, "git.test:") {
			return u.Host
		}
		return host
	}
}

func serveProxy(t testing.TB, user, password string, resolve func(string) string) *proxyServer {
	t.Helper()
	p := &proxyServer{t: t, user: user, password: password, resolve: resolve}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxyServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	given := &http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}
	if user, password, _ := given.BasicAuth(); user != p.user || password != p.password {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	p.used.Add(1)
	if req.Method != http.MethodConnect {
		forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host = p.resolve(r.Out.URL.Host) }}
		forward.ServeHTTP(w, req)
		return
	}
	there, err := net.Dial("tcp", p.resolve(req.Host))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	fmt.Fprint(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	join(struct {
		io.Reader
		net.Conn
	}{buffered, here}, there)
}

// join copies in both directions until one side ends.
func join(a struct {
	io.Reader
	net.Conn
}, b net.Conn,
) {
	var done sync.WaitGroup
	done.Go(func() { _, _ = io.Copy(b, a.Reader); _ = b.Close() })
	done.Go(func() { _, _ = io.Copy(a.Conn, b); _ = a.Conn.Close() })
	done.Wait()
}

// socksServer is a SOCKS5 proxy (RFC 1928, RFC 1929).
type socksServer struct {
	listener       net.Listener
	user, password string
	used           atomic.Int64
	resolve        func(string) string
	done           sync.WaitGroup
}

func serveSOCKS(t testing.TB, user, password string, resolve func(string) string) *socksServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &socksServer{listener: l, user: user, password: password, resolve: resolve}
	s.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.done.Go(func() { defer conn.Close(); s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *socksServer) serve(conn net.Conn) {
	take := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(conn, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	methods := take(int(take(2)[1]))
	if s.user != "" {
		if !slices.Contains(methods, 2) {
			_, _ = conn.Write([]byte{5, 0xff})
			return
		}
		_, _ = conn.Write([]byte{5, 2})
		user := string(take(int(take(2)[1])))
		password := string(take(int(take(1)[0])))
		if user != s.user || password != s.password {
			_, _ = conn.Write([]byte{1, 1})
			return
		}
		_, _ = conn.Write([]byte{1, 0})
	} else {
		_, _ = conn.Write([]byte{5, 0})
	}
	var host string
	switch take(4)[3] {
	case 1:
		host = net.IP(take(4)).String()
	case 3:
		host = string(take(int(take(1)[0])))
	}
	there, err := net.Dial("tcp", s.resolve(fmt.Sprintf("%s:%d", host, binary.BigEndian.Uint16(take(2)))))
	if err != nil {
		_, _ = conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	s.used.Add(1)
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(struct {
		io.Reader
		net.Conn
	}{conn, conn}, there)
}
