package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry counts and traces for one agent. It is safe for concurrent use. A nil one does nothing.
type Telemetry struct {
	metrics *metrics
	tracer  trace.Tracer // nil: nothing is traced
	links   *links

	mu      sync.RWMutex
	objects map[Object]*account
	facts   []Facts
}

// Option is a part of New.
type Option func(*Telemetry)

// WithTracer has runs traced.
func WithTracer(tracer trace.Tracer) Option {
	return func(t *Telemetry) { t.tracer, t.links = tracer, newLinks() }
}

// New returns a Telemetry that nobody sees yet; see Register.
func New(opts ...Option) *Telemetry {
	t := &Telemetry{metrics: newMetrics(), objects: map[Object]*account{}}
	for _, opt := range opts {
		opt(t)
	}
	return t
}

// Register shows the metrics in a registry until the returned function is called.
func (t *Telemetry) Register(reg prometheus.Registerer) (func(), error) {
	if err := reg.Register(t); err != nil {
		return nil, err
	}
	return func() { reg.Unregister(t) }, nil
}

func (t *Telemetry) account(o Object) *account {
	t.mu.RLock()
	a := t.objects[o]
	t.mu.RUnlock()
	if a != nil {
		return a
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[o] == nil {
		t.objects[o] = &account{}
	}
	return t.objects[o]
}

// Forget drops the series of an object that is gone.
func (t *Telemetry) Forget(o Object) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.objects, o)
}

// Woke notes that an object is to be looked at, and why.
func (t *Telemetry) Woke(o Object, cause Cause) {
	if t == nil {
		return
	}
	t.account(o).woken(cause, time.Now())
}
