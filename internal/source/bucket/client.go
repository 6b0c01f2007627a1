package bucket

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/minio/minio-go/v7"
	"k8s.io/utils/lru"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

const (
	// keepClients is how many clients with their connections are kept, the latest used.
	keepClients = 64
	// retries of one request, with growing pauses; beyond, the source as a whole is tried again later.
	retries = 3
	// atOnce is how many objects of one bucket are asked for at once.
	atOnce = 8
	// maxPage bounds one page of a list, and maxErrorBody what a server says about a failure.
	maxPage      = 16 << 20
	maxErrorBody = 64 << 10
)

// Fetcher fetches buckets into a store. It is safe for concurrent use.
type Fetcher struct {
	store *source.Store

	mu      sync.Mutex
	clients *lru.Cache // of the request's place and region → *client
}

// New returns a fetcher into store.
func New(store *source.Store) *Fetcher {
	return &Fetcher{store: store, clients: lru.NewWithEvictionFunc(keepClients, func(_ lru.Key, value any) {
		value.(*client).transport.CloseIdleConnections() //nolint:forcetypeassert // we put nothing else in
	})}
}

// Close closes idle connections.
func (f *Fetcher) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clients.Clear()
}

// client speaks to one server with one set of credentials. It remembers the region of the bucket, and its ignore rules.
type client struct {
	*minio.Core

	transport *http.Transport

	mu    sync.Mutex
	rules rules
}

// rules is the .sourceignore of a bucket.
type rules struct {
	etag string
	text []byte
}

func (f *Fetcher) client(req Request) (*client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := req.place() + "\x00" + req.Region
	if known, ok := f.clients.Get(key); ok {
		return known.(*client), nil //nolint:forcetypeassert // we put nothing else in
	}
	tr := req.Access.transport()
	core, err := minio.NewCore(req.Endpoint, &minio.Options{
		Creds: req.Access.credentials(), Secure: !req.Insecure, Region: req.Region, MaxRetries: retries, Transport: metered{tr},
	})
	if err != nil {
		return nil, &source.Error{Reason: source.ReasonURLInvalid, Err: fmt.Errorf("spec.endpoint %q can't be used: %s", shorten(req.Endpoint), shorten(err.Error()))}
	}
	c := &client{Core: core, transport: tr}
	f.clients.Add(key, c)
	return c, nil
}

// metered bounds what a server may answer with, except for objects, which are bounded as they are read.
type metered struct{ base http.RoundTripper }

func (m metered) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body := telemetry.Receiving(req.Context(), resp.Body)
	limit := int64(-1)
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		limit = maxErrorBody
	case req.URL.Query().Has("list-type"), req.URL.Query().Has("location"), req.URL.Query().Has("delimiter"):
		limit = maxPage
	}
	if limit >= 0 {
		body = io.LimitReader(body, limit)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	return resp, nil
}
