package term

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Fence lets requests that change something through only while its process may work: before it has held the Lease ever (what a process
// that stands by writes is meant), and while it holds it. The zero value is ready for use. It may be used by several goroutines.
type Fence struct {
	// until is kept with its monotonic part: a clock that is set back must not let a process write for longer than its Lease is its own.
	// Nil: the process has never held the Lease.
	until atomic.Pointer[time.Time]
}

// Extend lets requests through until a time.
func (f *Fence) Extend(until time.Time) { f.until.Store(&until) }

// Close lets nothing through any more.
func (f *Fence) Close() { f.until.Store(&time.Time{}) }

// Open says whether requests that change something are let through.
func (f *Fence) Open() bool {
	until := f.until.Load()
	return until == nil || time.Now().Before(*until)
}

// Wrap puts the fence around a transport. A request that isn't let through fails with an [ErrFenced].
func (f *Fence) Wrap(next http.RoundTripper) http.RoundTripper {
	return fenced{fence: f, next: next}
}

type fenced struct {
	fence *Fence
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t fenced) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return t.next.RoundTrip(req)
	}
	if t.fence.Open() {
		return t.next.RoundTrip(req)
	}
	if req.Body != nil {
		req.Body.Close() // as a transport must, also when it fails
	}
	return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, ErrFenced)
}

// WrappedRoundTripper is how client-go looks through a transport.
func (t fenced) WrappedRoundTripper() http.RoundTripper { return t.next }
