package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	// guardPenalty is for how long at first, and maxPenalty for how long at most, a server is left alone that says it is there and leaves
	// requests open. The time doubles unless the last one is penaltyForgotten ago.
	guardPenalty     = time.Minute
	maxPenalty       = 16 * time.Minute
	penaltyForgotten = time.Hour
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
	// last is a request that was made of the server: where it is.
	last *guardedRequest
	// penalty is for how long it was left alone last, at the time overdue.
	penalty time.Duration
	overdue time.Time
}

type guardedRequest struct {
	by  *guarded
	url *url.URL
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

// Overdue says that the server is there and left a request open, and why that is too long. All requests fail at once for a minute, and
// for longer the next time.
func (g *Guard) Overdue(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away != nil || g.ctx.Err() != nil || g.last == nil {
		return
	}
	now := time.Now()
	g.penalty = min(2*g.penalty, maxPenalty)
	if g.penalty == 0 || now.Sub(g.overdue) > penaltyForgotten {
		g.penalty = guardPenalty
	}
	g.overdue = now
	g.leave(g.last, err, g.penalty)
}

// leave notes that the server does not answer, and asks until it does, first after a pause. It needs g.mu held.
func (g *Guard) leave(req *guardedRequest, err error, pause time.Duration) {
	g.away = &AwayError{err}
	g.moved(g.away)
	g.wg.Go(func() { g.seek(req, pause) })
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
	g.mu.Lock()
	away := g.away
	g.last = &guardedRequest{g, req.URL}
	g.mu.Unlock()
	if away != nil {
		return nil, away
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
		if err := g.Away(); err != nil {
			cancel(err)
			return
		}
		if err := g.ping(req.URL); err != nil && g.ctx.Err() == nil {
			cancel(g.lost(req, err))
			return
		}
	}
}

// ping asks the server of a request whether it is there. Any answer will do.
func (g *guarded) ping(of *url.URL) error {
	ctx, cancel := context.WithTimeout(g.ctx, guardPing)
	defer cancel()
	at := *of
	at.Path, at.RawPath, at.RawQuery = "/version", "", ""
	if i := strings.Index(of.Path, "/api"); i > 0 { // a server below a path
		at.Path = of.Path[:i] + "/version"
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
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
	g.leave(&guardedRequest{g, req.URL}, err, 0)
	return g.away
}

func (g *Guard) seek(req *guardedRequest, first time.Duration) {
	pauses := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 7, Cap: 30 * time.Second}
	for pause := first; ; pause = pauses.Step() {
		if pause == 0 {
			pause = pauses.Step()
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-g.ctx.Done():
			timer.Stop()
			return
		}
		if req.by.ping(req.url) == nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.away = nil
			g.moved(nil)
			return
		}
	}
}
