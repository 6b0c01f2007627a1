package agent_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// server is a process that serves delivery alone, with its probes.
type server struct {
	*testing.T
	address string
	mu      sync.Mutex
	said    strings.Builder
}

// serveAlone runs one in a namespace until the test ends.
func serveAlone(t *testing.T, cfg *rest.Config, namespace string, change func(*agent.Options)) *server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{T: t, address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	opts := agent.Options{
		DataDir: t.TempDir(), Namespaces: []string{namespace}, LeaderElect: true, LeaseNamespace: namespace, HealthAddress: s.address,
		Log: funcr.New(func(_, args string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.said.WriteString(args + "\n")
		}, funcr.Options{}),
	}
	if change != nil {
		opts.Serve = "delivery"
		change(&opts)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx, cfg, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return s
}

func (s *server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// ready is what its probe answers; 0: nothing.
func (s *server) ready() int {
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.address+"/readyz", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	if err := resp.Body.Close(); err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode
}

// TestWhoCouldServeIsReady: pods of one Deployment are ready where they serve and where they stand by, and not where they never could, so that an
// upgrade to them isn't taken for good: with other settings than the agent's, and without the rights.
func TestWhoCouldServeIsReady(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	holder := func() string {
		lease, err := env.Clientset(t).CoordinationV1().Leases(env.Namespace).Get(t.Context(), duty.LeaseName("delivery"), metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	serveAlone(t, env.Config, env.Namespace, nil)
	await(t, func() bool { return duty.ByAgent(holder()) }, func() string { return "delivery is served by " + holder() })

	loose := serveAlone(t, env.Config, env.Namespace, func(o *agent.Options) { o.Kustomizations.AllowAgentIdentity = true })
	var forbidden atomic.Bool
	forbidden.Store(true)
	blind := rest.CopyConfig(env.Config)
	blind.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			if forbidden.Load() && strings.HasSuffix(req.URL.Path, "/kustomizations") {
				return &http.Response{StatusCode: http.StatusForbidden, Request: req, Body: http.NoBody, Header: http.Header{}}, nil
			}
			return next.RoundTrip(req)
		})
	})
	without := serveAlone(t, blind, env.Namespace, func(*agent.Options) {})
	await(t, func() bool { return strings.Contains(loose.log(), "allow-agent-identity") }, loose.log)
	await(t, func() bool { return without.ready() != 0 }, without.log)
	for who, s := range map[string]*server{"other settings": loose, "no rights": without} {
		if got := s.ready(); got != http.StatusInternalServerError || !duty.ByAgent(holder()) {
			t.Errorf("%s: it is ready with %d, and delivery is served by %s", who, got, holder())
		}
	}
	forbidden.Store(false) // a manager whose cache waits for its first read can't be stopped
	await(t, func() bool { return without.ready() == http.StatusOK }, without.log)
	for range 2 {
		s := serveAlone(t, env.Config, env.Namespace, func(*agent.Options) {})
		await(t, func() bool { return s.ready() == http.StatusOK }, s.log)
	}
	await(t, func() bool { return holder() != "" && !duty.ByAgent(holder()) }, func() string { return "delivery is served by " + holder() })
}
