package aside_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// streams ends watches when it is told to, and counts those that were begun.
type streams struct {
	mu    sync.Mutex
	open  []io.Closer
	begun int
}

func (s *streams) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(req)
		if err == nil && req.URL.Query().Get("watch") != "" {
			s.mu.Lock()
			s.open = append(s.open, res.Body)
			s.begun++
			s.mu.Unlock()
		}
		return res, err
	})
}

// drop ends the watches, and returns how many were begun so far.
func (s *streams) drop() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open {
		_ = c.Close()
	}
	s.open = nil
	return s.begun
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// gate runs one until the test ends.
func (w *world) gate(t *testing.T) (*aside.Gate, *streams) {
	t.Helper()
	cfg, watches := rest.CopyConfig(w.Config), &streams{}
	cfg.Wrap(watches.wrap)
	c, err := typedcoordinationv1.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := aside.New(c, []string{w.Namespace}, logr.Discard(), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g, watches
}

// renew has a Lease renewed by a clock that goes wrong by so much.
func (w *world) renew(l *coordinationv1.Lease, wrong time.Duration) {
	w.Helper()
	before := l.DeepCopy()
	at := metav1.NewMicroTime(time.Now().Add(wrong))
	l.Spec.RenewTime = &at
	if err := w.client.Patch(w.Context(), l, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// TestAClockThatWasPutBack leaves a Lease whose holder is gone and renewed it in what is the future now. It runs out all the same.
func TestAClockThatWasPutBack(t *testing.T) {
	w := newWorld(t)
	w.renew(w.flux("kustomize-controller", 2*time.Second), time.Hour)
	g, _ := w.gate(t)
	w.until("the gate opens", func() bool { return !g.Closed() })
}

// TestAClockThatWasPutForward makes each renewal look a day old. The gate is closed as soon as one was seen, and stays so when the leases
// are listed anew.
func TestAClockThatWasPutForward(t *testing.T) {
	w := newWorld(t)
	lease := w.flux("kustomize-controller", time.Hour)
	w.renew(lease, -24*time.Hour)
	g, watches := w.gate(t)
	w.until("nothing tells that it was renewed", func() bool { return !g.Closed() })
	w.renew(lease, -24*time.Hour)
	w.until("a renewal is seen", g.Closed)
	before := watches.drop()
	w.until("leases are listed and watched anew", func() bool {
		if !g.Closed() {
			t.Fatal("the gate opened although the Lease is held")
		}
		return watches.count() >= before+2
	})
	if !g.Closed() {
		t.Error("the gate opened although the Lease is held")
	}
	w.release(lease)
	w.until("the gate opens when the Lease is given up", func() bool { return !g.Closed() })
}
