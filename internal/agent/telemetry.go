package agent

import (
	"cmp"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

// show registers the metrics where they are asked for, until the returned function is called.
func (o Options) show(tel *telemetry.Telemetry) (func(), error) {
	registry := o.Metrics
	if registry == nil && cmp.Or(o.MetricsAddress, nowhere) != nowhere {
		registry = metrics.Registry
	}
	if registry == nil {
		return func() {}, nil
	}
	hide, err := tel.Register(registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return hide, nil
}
