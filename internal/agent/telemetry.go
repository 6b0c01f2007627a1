package agent

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// show registers the metrics where they are asked for, until the returned function is called.
func (o Options) show(tel *telemetry.Telemetry) (func(), error) {
	registry := o.registerer()
	if registry == nil {
		return func() {}, nil
	}
	hide, err := tel.Register(registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return hide, nil
}

// registerer is where metrics are asked for, nil where they aren't.
func (o Options) registerer() prometheus.Registerer {
	if o.Metrics == nil && cmp.Or(o.MetricsAddress, nowhere) != nowhere {
		return metrics.Registry
	}
	return o.Metrics
}

// storeOf tells what the store takes.
func storeOf(store *source.Store) telemetry.Facts {
	return func(s *telemetry.Scrape) {
		u := store.Usage()
		s.Store(u.Stored, u.Free, u.Capacity)
	}
}

// flushTimeout bounds the sending of the last spans.
const flushTimeout = 3 * time.Second

// telemetry returns what counts and, where that is asked for, traces. stop sends the last spans.
func (o Options) telemetry(ctx context.Context) (tel *telemetry.Telemetry, stop func(), err error) {
	if !o.Traces {
		return telemetry.New(), func() {}, nil
	}
	tracer, shutdown, err := telemetry.ExportOTLP(ctx, strings.TrimSuffix(o.OTLPEndpoint, "/"))
	if err != nil {
		return nil, nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.V(1).Info("traces not sent", "why", err.Error()) }))
	return telemetry.New(telemetry.WithTracer(tracer)), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			o.Log.Info("the last traces were not sent", "why", err.Error())
		}
	}, nil
}
