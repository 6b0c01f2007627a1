package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/internal/source"
)

// leading is a part that only the replica that leads runs.
type leading func(ctx context.Context) error

func (f leading) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (leading) NeedLeaderElection() bool { return true }

// everywhere is a part that every replica runs.
type everywhere func(ctx context.Context) error

func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }

// closing runs functions when the agent ends.
func closing(fns ...func()) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		for _, fn := range fns {
			fn()
		}
		return nil
	}
}

const (
	headerTimeout = 5 * time.Second
	drainTimeout  = 10 * time.Second
)

// artifacts serves what is in the store to others, such as Flux's controllers.
func artifacts(address string, store *source.Store) manager.Runnable {
	return serving(address, "artifact downloads", 0, &http.Server{Handler: source.Handler(store), ReadHeaderTimeout: headerTimeout})
}

// listens tells whether an address says to listen at all.
func listens(address string) bool { return cmp.Or(address, nowhere) != nowhere }

// serving runs an HTTP server on every replica, for so many connections at once; 0 for any number.
func serving(address, what string, connections int, srv *http.Server) manager.Runnable {
	return everywhere(func(ctx context.Context) error {
		if !listens(address) {
			return nil
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", what, err)
		}
		if connections > 0 {
			listener = netutil.LimitListener(listener, connections)
		}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(listener) }()
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err = srv.Shutdown(stop)
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}
