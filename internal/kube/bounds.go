package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// requestWithin bounds one request with its answer, and how long a watch takes to begin. An API server ends requests itself after a minute.
	requestWithin = 70 * time.Second
	// maxRetryAfter is the longest pause that a server may ask for in seconds. Kubernetes' own asks for one second.
	maxRetryAfter = 2
	// keptOfDiscovery is how many times more an answer about kinds weighs than what is kept of it.
	keptOfDiscovery = 8
)

// Bounds are for the transport to an API server that somebody else runs: what it answers, and how slowly, costs only so much. Wrap is for
// rest.Config.Wrap, above a Guard's.
type Bounds struct {
	// Within bounds one request and its answer, and the time until a watch begins. Default: 70 s, more than any API server takes.
	Within time.Duration
	// Overdue is called when a request took longer.
	Overdue func(error)
	// Document is what one answer may weigh, in bytes. Default: 32 MiB. A page of 500 objects weighs a few millions.
	Document int64
	// Allowance is the memory that answers may take. Nil: one of its own.
	Allowance *Allowance

	mu sync.Mutex
	// discovered is what the answers that say which kinds there are weigh, and kept what is counted of it.
	discovered, kept int64
}

// Wrap bounds a transport.
func (b *Bounds) Wrap(next http.RoundTripper) http.RoundTripper {
	if b.Within == 0 {
		b.Within = requestWithin
	}
	if b.Document == 0 {
		b.Document = maxDocument
	}
	if b.Allowance == nil {
		b.Allowance = NewAllowance(KeepAtMost)
	}
	return &bounded{b, next}
}

type bounded struct {
	*Bounds

	next http.RoundTripper
}

// WrappedRoundTripper lets client-go find the transport below.
func (b *bounded) WrappedRoundTripper() http.RoundTripper { return b.next }

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	late := &lateError{b.Within}
	timer := time.AfterFunc(b.Within, func() { cancel(late) })
	done := func() {
		timer.Stop()
		cancel(nil)
	}
	req = req.Clone(ctx)
	onlyJSON(req.Header)
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		err = b.blame(ctx, err)
		done()
		return nil, err
	}
	if err := readable(resp); err != nil {
		_ = resp.Body.Close()
		done()
		return nil, err
	}
	calm(resp.Header)
	body := &answer{by: b, ctx: ctx, body: resp.Body, done: done}
	if req.URL.Query().Get("watch") != "" {
		timer.Stop() // it may stay open for as long as it likes
		body.stream = true
	}
	if p := req.URL.Path; isDiscovery(p) {
		body.discovery = true
		if strings.HasSuffix(p, "/api") { // which is asked for first
			b.Close()
		}
	}
	resp.Body = body
	return resp, nil
}

// blame returns an error that says of a request that took too long that it did.
func (b *Bounds) blame(ctx context.Context, err error) error {
	var late *lateError
	if !errors.As(context.Cause(ctx), &late) {
		return err
	}
	if b.Overdue != nil {
		b.Overdue(late)
	}
	return late
}

// lateError says that a request was broken off.
type lateError struct{ after time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("a request was left open for %s", e.after)
}

// Timeout has others take the error for what it is.
func (e *lateError) Timeout() bool { return true }

// onlyJSON asks for JSON where protobuf is asked for too: what JSON makes of memory can be told while it is read.
func onlyJSON(header http.Header) {
	var kept []string
	for one := range strings.SplitSeq(header.Get("Accept"), ",") {
		if !strings.Contains(one, "protobuf") && !strings.Contains(one, "cbor") {
			kept = append(kept, one)
		}
	}
	if len(kept) > 0 {
		header.Set("Accept", strings.Join(kept, ","))
	}
}

// readable refuses what is sent as something that would be decoded, other than JSON.
func readable(resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind == "application/json" || strings.HasPrefix(kind, "text/") && !strings.Contains(kind, "yaml") {
		return nil //nolint:nilerr // without a type nothing is decoded as another one than JSON
	}
	return fmt.Errorf("the server answers with %q, where JSON was asked for", kind)
}

// calm keeps a server from having its clients wait.
func calm(header http.Header) {
	if s, err := strconv.Atoi(header.Get("Retry-After")); err == nil && s > maxRetryAfter {
		header.Set("Retry-After", strconv.Itoa(maxRetryAfter))
	}
}

// isDiscovery tells whether a path is one of those that say which kinds there are: /api, /api/v1, /apis, /apis/GROUP and /apis/GROUP/VERSION.
func isDiscovery(path string) bool {
	i := strings.Index(path, "/api")
	if i < 0 {
		return false
	}
	parts := strings.Split(strings.Trim(path[i:], "/"), "/")
	return parts[0] == "api" && len(parts) <= 2 || parts[0] == "apis" && len(parts) <= 3
}

// discovers counts what is known of a server's kinds, which is kept.
func (b *Bounds) discovers(weight int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discovered+weight > b.Document {
		return &TooLargeError{"what it says it serves", b.Document}
	}
	b.discovered += weight
	kept := b.discovered/keptOfDiscovery - b.kept
	if err := b.Allowance.Keep(kept); err != nil {
		return err
	}
	b.kept += kept
	return nil
}

// Close gives back what is kept of the allowance.
func (b *Bounds) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Allowance != nil {
		b.Allowance.Release(b.kept)
	}
	b.discovered, b.kept = 0, 0
}

// answer is a body that is weighed while it is read.
type answer struct {
	by   *bounded
	ctx  context.Context //nolint:containedctx // the request's, which ends with its body
	body io.ReadCloser
	done func()
	// stream: one document follows the other. discovery: what is read is kept.
	stream, discovery bool
	document          document
	// large: it holds a place of those for large documents.
	large bool
}

// Read implements io.Reader.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, a.by.blame(a.ctx, err)
	}
	for rest := p[:n]; len(rest) > 0; {
		before := a.document.weight
		used, ends := a.document.read(rest)
		rest = rest[used:]
		if weighed := a.weighed(a.document.weight - before); weighed != nil {
			return 0, weighed
		}
		if ends && a.stream {
			a.document = document{}
			a.rest()
		}
	}
	return n, err
}

// weighed says no to a document that has become too heavy, and has large ones wait for each other.
func (a *answer) weighed(more int64) error {
	if a.document.weight > a.by.Document {
		return &TooLargeError{"an answer", a.by.Document}
	}
	if a.discovery {
		if err := a.by.discovers(more); err != nil {
			return err
		}
	}
	if a.large || a.document.weight <= largeDocument {
		return nil
	}
	select {
	case a.by.Allowance.large <- struct{}{}:
		a.large = true
		return nil
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
}

// rest gives back the place of a large document.
func (a *answer) rest() {
	if a.large {
		a.large = false
		<-a.by.Allowance.large
	}
}

// Close implements io.Closer.
func (a *answer) Close() error {
	err := a.body.Close()
	a.rest()
	a.done()
	return err
}
