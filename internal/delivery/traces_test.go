package delivery_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-dev/slipway/internal/agent"
)

// collector takes spans over OTLP/HTTP.
type collector struct {
	mu    sync.Mutex
	spans []*tracev1.Span
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var data tracev1.TracesData // an ExportTraceServiceRequest is the same on the wire
	if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &data) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range data.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
}

func (c *collector) find(name string) []*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*tracev1.Span
	for _, s := range c.spans {
		if s.GetName() == name {
			out = append(out, s)
		}
	}
	return out
}

// String returns all that the spans say: their names, attributes, events and states.
func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.spans)
}

func attributeOf(s *tracev1.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

func numberOf(s *tracev1.Span, key string) int64 {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetIntValue()
		}
	}
	return -1
}

func TestATraceTellsWhereTheTimeWent(t *testing.T) {
	t.Parallel()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	w := newWorld(t, func(o *agent.Options) { o.Traces, o.OTLPEndpoint = true, server.URL })
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	w.source()
	k := w.kustomization("app", func(k *kustomizev1.Kustomization) { k.Spec.Wait = true })
	w.applied(k, first)
	revision := w.remove("b.yaml")
	w.fetch()
	w.applied(k, revision)
	token := w.request(k) // a look that finds nothing to do
	until(w, k, "the request is answered", func() bool { return k.Status.LastHandledReconcileAt == token })
	w.stop() // sends what is left

	roots := c.find("reconcile Kustomization")
	if len(roots) != 2 {
		t.Fatalf("got %d traces of the Kustomization, want one for each attempt and none for a look that did nothing", len(roots))
	}
	byRevision := func(root *tracev1.Span) bool { return attributeOf(root, "revision") == revision }
	if !slices.ContainsFunc(roots, byRevision) {
		t.Fatalf("no trace is of revision %s: %v", revision, roots)
	}
	root := roots[slices.IndexFunc(roots, byRevision)]
	if attributeOf(root, "name") != "app" || attributeOf(root, "namespace") != w.Namespace {
		t.Errorf("the trace does not name the object: %v", root.GetAttributes())
	}
	for _, phase := range []string{"build", "apply", "prune", "wait"} {
		spans := slices.DeleteFunc(c.find(phase), func(s *tracev1.Span) bool { return string(s.GetParentSpanId()) != string(root.GetSpanId()) })
		if len(spans) != 1 {
			t.Errorf("got %d spans of phase %s below the reconcile, want 1", len(spans), phase)
			continue
		}
		if want := int64(1); numberOf(spans[0], "objects") != want {
			t.Errorf("phase %s: %d objects, want %d", phase, numberOf(spans[0], "objects"), want)
		}
		if phase == "prune" && numberOf(spans[0], "requests") < 1 {
			t.Errorf("the prune says that it made %d requests", numberOf(spans[0], "requests"))
		}
	}
	fetches := c.find("reconcile GitRepository")
	if len(root.GetLinks()) != 1 || !slices.ContainsFunc(fetches, func(s *tracev1.Span) bool {
		return string(s.GetSpanId()) == string(root.GetLinks()[0].GetSpanId()) && attributeOf(s, "revision") == revision
	}) {
		t.Errorf("the trace is not linked to the fetch of its revision: links %v, fetches %v", root.GetLinks(), fetches)
	}
}
