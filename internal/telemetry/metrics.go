package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Names of metrics. What begins with gotk_ is what dashboards made for Flux expect.
const (
	nameReconcile = "gotk_reconcile_duration_seconds"
	nameResource  = "gotk_resource_info"
)

// metrics are the collectors for all objects together.
type metrics struct {
	phase    *prometheus.HistogramVec
	queue    *prometheus.HistogramVec
	wakeups  *prometheus.CounterVec
	requests *prometheus.CounterVec
	builds   *prometheus.CounterVec
	fetches  *prometheus.CounterVec
	received *prometheus.CounterVec
	delivery *prometheus.HistogramVec
	sweeps   prometheus.Counter
	found    prometheus.Counter
}

// seconds are the bounds of durations, from a build that takes a millisecond to a wait of ten minutes.
func seconds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600}
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		phase: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_phase_duration_seconds", Help: "How long the phases of reconciles took.", Buckets: seconds(),
		}, []string{"kind", "phase"}),
		queue: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_queue_duration_seconds", Help: "How long objects waited for a worker after they were woken.", Buckets: seconds(),
		}, []string{"kind"}),
		wakeups:  counter("slipway_wakeups_total", "Why objects were looked at.", "kind", "cause"),
		requests: counter("slipway_api_requests_total", "Requests to API servers, by the verb that RBAC knows them by.", "verb", "code"),
		builds:   counter("slipway_builds_total", "Builds that were made, skipped because no file that they read had changed, or failed.", "result"),
		fetches:  counter("slipway_fetches_total", "Fetches of sources, by what came of them.", "kind", "result"),
		received: counter("slipway_fetched_bytes_total", "Bytes that servers of sources sent.", "kind"),
		delivery: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_delivery_duration_seconds", Buckets: seconds(),
			Help: "How long it took from the begin of the fetch that saw a new revision until the object was ready with it.",
		}, []string{"kind"}),
		sweeps: prometheus.NewCounter(prometheus.CounterOpts{Name: "slipway_sweeps_total", Help: "How often everything was applied again as a safety net."}),
		found: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "slipway_sweep_found_total", Help: "Objects that a sweep found changed and no watch had told of. Anything but 0 is a bug.",
		}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.phase, m.queue, m.wakeups, m.requests, m.builds, m.fetches, m.received, m.delivery, m.sweeps, m.found}
}
