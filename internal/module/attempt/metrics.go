package attempt

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// Metrics counts what becomes of modules. Nil counts nothing.
type Metrics struct {
	info      *prometheus.GaugeVec
	entered   *prometheus.CounterVec
	corrected *prometheus.CounterVec
}

// NewMetrics returns metrics that nobody sees yet: they are a prometheus.Collector, to be registered.
func NewMetrics() *Metrics {
	return &Metrics{
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "slipway_module_info", Help: "The state of a module, in labels.",
		}, []string{"module", "phase", "version", "target"}),
		entered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_module_phases_total", Help: "How often a module came to a phase.",
		}, []string{"module", "phase"}),
		corrected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_module_drift_corrected_total", Help: "Objects of a module that were put back.",
		}, []string{"module"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(out)
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.info, m.entered, m.corrected}
}

// moved notes that a module came to a phase.
func (m *Metrics) moved(module string, to lifecycle.State) {
	if m != nil {
		m.entered.WithLabelValues(module, string(to)).Inc()
	}
}

// state tells how a module is.
func (m *Metrics) state(of *v1alpha1.Module, phase lifecycle.State) {
	if m == nil {
		return
	}
	version, target := "", ""
	if c := of.Status.Current; c != nil {
		version = c.Version
	}
	if t := of.Status.Target; t != nil {
		target = t.Version
	}
	m.info.DeletePartialMatch(prometheus.Labels{"module": of.Name})
	m.info.WithLabelValues(of.Name, string(phase), version, target).Set(1)
}

func (m *Metrics) putBack(module string, n int) {
	if m != nil {
		m.corrected.WithLabelValues(module).Add(float64(n))
	}
}

// forget drops the series of a module that is gone.
func (m *Metrics) forget(module string) {
	if m == nil {
		return
	}
	for _, vec := range []interface{ DeletePartialMatch(prometheus.Labels) int }{m.info, m.entered, m.corrected} {
		vec.DeletePartialMatch(prometheus.Labels{"module": module})
	}
}
