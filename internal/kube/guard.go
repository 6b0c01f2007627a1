package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// guardPatience is after how long without an answer a server is asked whether it is there at all. Slow admission webhooks are fine.
	guardPatience = 3 * time.Second
	// guardPing bounds that question.
	guardPing = 3 * time.Second
)

// AwayError says that a cluster does not answer.
type AwayError struct{ Err error }

func (e *AwayError) Error() string { return fmt.Sprintf("the cluster does not answer: %v", e.Err) }

// Unwrap returns why.
func (e *AwayError) Unwrap() error { return e.Err }

// Guard keeps a cluster that does not answer from holding up those who ask it: the first request that gets no answer within a few
// seconds, though the server's /version gets none either, is broken off, and all others fail at once until the server answers again. It is
// asked again after pauses of half a second to half a minute. Wrap is for rest.Config.Wrap; Close ends the asking.
type Guard struct {
	moved  func(error)
	ctx    context.Context //nolint:containedctx // the life of the guard
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	away *AwayError // nil: it answers
}

// NewGuard returns a guard that calls moved when the cluster is found to be away, with why, and when it is back, with nil. moved must not
// block.
func NewGuard(moved func(error)) *Guard {
	ctx, cancel := context.WithCancel(context.Background())
	return &Guard{moved: moved, ctx: ctx, cancel: cancel}
}

// Close ends the guard's own requests and waits for that.
func (g *Guard) Close() {
	g.cancel()
	g.wg.Wait()
}

// Away is why the cluster does not answer, nil while it does.
func (g *Guard) Away() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away == nil {
		return nil
	}
	return g.away
}

// Wrap guards a transport.
func (g *Guard) Wrap(next http.RoundTripper) http.RoundTripper { return &guarded{g, next} }

type guarded struct {
	*Guard

	next http.RoundTripper
}

// WrappedRoundTripper lets client-go find the transport below.
func (g *guarded) WrappedRoundTripper() http.RoundTripper { return g.next }

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.Away(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	answered := make(chan struct{})
	g.wg.Go(func() { g.oversee(ctx, req, answered, cancel) })
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	close(answered)
	if err != nil {
		var away *AwayError
		switch cause := context.Cause(ctx); {
		case errors.As(cause, &away):
			err = away
		case req.Context().Err() == nil:
			err = g.lost(req, err)
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &cancelling{resp.Body, cancel}
	return resp, nil
}

// cancelling frees a request's context with its body.
type cancelling struct {
	io.ReadCloser

	cancel context.CancelCauseFunc
}

func (c *cancelling) Close() error {
	err := c.ReadCloser.Close()
	c.cancel(nil)
	return err
}

// oversee breaks a request off that gets no answer from a server that gives none.
func (g *guarded) oversee(ctx context.Context, req *http.Request, answered <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(guardPatience)
	defer tick.Stop()
	for {
		select {
		case <-answered:
			return
		case <-ctx.Done():
			return
		case <-g.ctx.Done():
			cancel(context.Canceled)
			return
		case <-tick.C:
		}
		if err := g.ping(req); err != nil && g.ctx.Err() == nil {
			cancel(g.lost(req, err))
			return
		}
	}
}

// ping asks the server of a request whether it is there. Any answer will do.
func (g *guarded) ping(req *http.Request) error {
	ctx, cancel := context.WithTimeout(g.ctx, guardPing)
	defer cancel()
	url := *req.URL
	url.Path, url.RawPath, url.RawQuery = "/version", "", ""
	if i := strings.Index(req.URL.Path, "/api"); i > 0 { // a server below a path
		url.Path = req.URL.Path[:i] + "/version"
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, url.String(), nil)
	if err != nil {
		return err
	}
	resp, err := g.next.RoundTrip(ask)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// lost notes that the server of a request does not answer, and asks until it does.
func (g *guarded) lost(req *http.Request, err error) *AwayError {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away != nil || g.ctx.Err() != nil {
		return &AwayError{err}
	}
	g.away = &AwayError{err}
	g.moved(g.away)
	g.wg.Go(func() { g.seek(req) })
	return g.away
}

func (g *guarded) seek(req *http.Request) {
	pauses := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 7, Cap: 30 * time.Second}
	for {
		timer := time.NewTimer(pauses.Step())
		select {
		case <-timer.C:
		case <-g.ctx.Done():
			timer.Stop()
			return
		}
		if g.ping(req) == nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.away = nil
			g.moved(nil)
			return
		}
	}
}
