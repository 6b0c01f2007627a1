package server

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// metrics counts requests by route and status code, and shows them in the
// Prometheus text format.
type metrics struct {
	service string
	mu      sync.Mutex
	seen    map[series]observed
}

type series struct {
	route string
	code  int
}

type observed struct {
	count   uint64
	seconds float64
}

func newMetrics(service string) *metrics {
	return &metrics{service: service, seen: map[series]observed{}}
}

func (m *metrics) add(route string, code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.seen[series{route, code}]
	o.count++
	o.seconds += took.Seconds()
	m.seen[series{route, code}] = o
}

func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	seen := maps.Clone(m.seen)
	m.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(seen), func(a, b series) int {
		if c := strings.Compare(a.route, b.route); c != 0 {
			return c
		}
		return a.code - b.code
	})
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprint(w, "# HELP shop_request_duration_seconds Requests answered, and the time they took.\n"+
		"# TYPE shop_request_duration_seconds summary\n")
	for _, k := range keys {
		labels := fmt.Sprintf(`{service=%q,route=%q,code="%d"}`, m.service, k.route, k.code)
		fmt.Fprintf(w, "shop_request_duration_seconds_sum%s %g\n", labels, seen[k].seconds)
		fmt.Fprintf(w, "shop_request_duration_seconds_count%s %d\n", labels, seen[k].count)
	}
}

// observed counts and logs each request to a route.
func (s *Server) observed(route string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		h(rec, r)
		took := time.Since(began)
		s.metrics.add(route, rec.code, took)
		s.log.Info("request", "method", r.Method, "path", r.URL.Path, "code", rec.code, "took", took.String())
	})
}

// recorder remembers the status code.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
