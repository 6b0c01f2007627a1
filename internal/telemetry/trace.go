package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/utils/lru"
)

// Attribute says something about a span.
type Attribute struct {
	key   string
	text  string
	count int
}

// Text is an attribute with a text.
func Text(key, value string) Attribute { return Attribute{key: key, text: value} }

// Int is an attribute with a number.
func Int(key string, value int) Attribute { return Attribute{key: key, count: value} }

func set(span trace.Span, attributes []Attribute) {
	for _, a := range attributes {
		switch {
		case a.text != "":
			span.SetAttributes(attribute.String(a.key, a.text))
		default:
			span.SetAttributes(attribute.Int(a.key, a.count))
		}
	}
}

func finish(span trace.Span, err error, opts ...trace.SpanEndOption) {
	if err != nil {
		// The error's text stays out: it may quote what the source holds. The object's condition has it, with secrets masked.
		span.SetStatus(codes.Error, "see the object's conditions")
	}
	span.End(opts...)
}

// input is what a run works on.
type input struct {
	revision, digest string
}

// Input says which artifact the run works on, before its first phase. Its trace is linked to the one of the fetch that brought the artifact.
func (r *Run) Input(revision, digest string) {
	if r == nil {
		return
	}
	r.inputs = input{revision, digest}
}

// Output says which artifact the run brought.
func (r *Run) Output(revision, digest string) {
	if r == nil || r.root == nil {
		return
	}
	r.root.SetAttributes(attribute.String("revision", revision), attribute.String("digest", digest))
	r.t.links.put(digest, r.root.SpanContext())
}

// span begins a span of the run, and the run's own before it if it is the first. Nothing begins while nothing is traced.
func (r *Run) span(ctx context.Context, name string, attributes []Attribute) (context.Context, trace.Span) {
	if r.t.tracer == nil {
		return ctx, nil
	}
	if r.root == nil {
		_, r.root = r.t.tracer.Start(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), "reconcile "+r.object.Kind, r.rootOptions()...)
	}
	ctx, span := r.t.tracer.Start(trace.ContextWithSpan(ctx, r.root), name)
	set(span, attributes)
	return ctx, span
}

func (r *Run) rootOptions() []trace.SpanStartOption {
	attributes := []attribute.KeyValue{
		attribute.String("kind", r.object.Kind), attribute.String("namespace", r.object.Namespace), attribute.String("name", r.object.Name),
	}
	opts := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithTimestamp(r.started)}
	if r.inputs.revision != "" {
		attributes = append(attributes, attribute.String("revision", r.inputs.revision), attribute.String("digest", r.inputs.digest))
		if from, ok := r.t.links.get(r.inputs.digest); ok {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	return append(opts, trace.WithAttributes(attributes...))
}

// Mark is a place in a trace that a later run goes on from. The zero value is no place.
type Mark struct{ at trace.SpanContext }

// Mark returns where the run is in its trace.
func (r *Run) Mark() Mark {
	if r == nil || r.root == nil {
		return Mark{}
	}
	return Mark{r.root.SpanContext()}
}

// Waited tells of a wait for health that ended now, in the trace of the run that began it.
func (r *Run) Waited(from Mark, since time.Time, objects int, err error) {
	if r == nil {
		return
	}
	r.took(Wait, time.Since(since))
	if r.t.tracer == nil || !from.at.IsValid() {
		return
	}
	ctx := trace.ContextWithSpanContext(context.Background(), from.at)
	_, span := r.t.tracer.Start(ctx, string(Wait), trace.WithTimestamp(since))
	set(span, []Attribute{Int("objects", objects)})
	finish(span, err)
}

// rememberLinks bounds the fetches whose traces can be linked to.
const rememberLinks = 4096

// links remembers which trace brought which artifact.
type links struct {
	mu    sync.Mutex
	spans *lru.Cache // of digest → trace.SpanContext
}

func newLinks() *links { return &links{spans: lru.New(rememberLinks)} }

func (l *links) put(digest string, at trace.SpanContext) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans.Add(digest, at)
}

func (l *links) get(digest string) (trace.SpanContext, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.spans.Get(digest)
	if !ok {
		return trace.SpanContext{}, false
	}
	return at.(trace.SpanContext), true //nolint:forcetypeassert // we put nothing else in
}
