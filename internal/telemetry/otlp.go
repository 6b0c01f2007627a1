package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracingAsked tells whether OpenTelemetry's environment variables ask for traces over OTLP.
func TracingAsked(getenv func(string) string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// ExportOTLP returns a tracer whose spans are sent over OTLP/HTTP: to the endpoint, such as http://collector:4318, or with an empty one
// to where OpenTelemetry's environment variables say. Spans are sent in batches in the background; when the collector does not
// answer they are dropped. stop sends what is left, until its context ends.
func ExportOTLP(ctx context.Context, endpoint string) (tracer trace.Tracer, stop func(context.Context) error, err error) {
	var opts []otlptracehttp.Option
	if endpoint != "" {
		opts = append(opts, otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"))
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare traces over OTLP: %w", err)
	}
	// The environment (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) wins over the name that is given here.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "slipway-agent")), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return provider.Tracer("github.com/slipway-dev/slipway"), provider.Shutdown, nil
}
