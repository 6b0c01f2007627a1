package crash

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// proxy stands between an agent and the API server, counts the agent's
// requests, and can kill the agent at one of them: before the API server has
// seen it, or after the API server has answered and before the agent knows.
type proxy struct {
	server *http.Server
	addr   string
	wg     sync.WaitGroup

	mu    sync.Mutex
	count int
	trap  *trap
}

// trap springs at a request.
type trap struct {
	at     int  // which request from now, beginning with 1
	before bool // don't let the request through
	kill   func()
	sprung chan struct{}
}

// startProxy listens on the loopback and forwards to config's API server with
// config's credentials.
func startProxy(config *rest.Config) (*proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("parse API server address: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("make transport: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &proxy{addr: l.Addr().String()}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.server = &http.Server{Handler: p.handler(forward), ReadHeaderTimeout: time.Minute}
	p.wg.Go(func() { _ = p.server.Serve(l) })
	return p, nil
}

func (p *proxy) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trap := p.arrived()
		switch {
		case trap == nil:
			next.ServeHTTP(w, r)
		case trap.before:
			trap.spring()
		default:
			// The API server's answer goes nowhere; a watch has none to wait for.
			if r.URL.Query().Get("watch") == "" {
				next.ServeHTTP(&deaf{header: http.Header{}}, r)
			}
			trap.spring()
		}
	})
}

// arrived counts a request and returns the trap when it is the one.
func (p *proxy) arrived() *trap {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if p.trap == nil {
		return nil
	}
	p.trap.at--
	if p.trap.at > 0 {
		return nil
	}
	sprung := p.trap
	p.trap = nil
	return sprung
}

// set arms a trap; the channel is closed once the agent is dead.
func (p *proxy) set(at int, before bool, kill func()) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = &trap{at: at, before: before, kill: kill, sprung: make(chan struct{})}
	return p.trap.sprung
}

// disarm takes the trap away, and tells whether there was still one.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	armed := p.trap != nil
	p.trap = nil
	return armed
}

// requests is how many there were so far.
func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (t *trap) spring() {
	t.kill()
	close(t.sprung)
}

func (p *proxy) close() error {
	err := p.server.Close()
	p.wg.Wait()
	return err
}

// kubeconfig writes a file that leads through the proxy.
func (p *proxy) kubeconfig(path, namespace string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: "http://" + p.addr}
	config.AuthInfos["none"] = &clientcmdapi.AuthInfo{}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "none", Namespace: namespace}
	config.CurrentContext = "proxy"
	return clientcmd.WriteToFile(*config, path)
}

// deaf takes an answer and keeps nothing of it.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d *deaf) WriteHeader(int)             {}
