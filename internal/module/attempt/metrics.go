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

// NewMetrics returns metrics that are registered with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
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
	for _, c := range []prometheus.Collector{m.info, m.entered, m.corrected} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
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
