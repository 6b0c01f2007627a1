package agent

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsOfModulesDontVanish: a second agent with the same registry is told so, and the first one's metrics stay.
func TestMetricsOfModulesDontVanish(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := Options{Metrics: registry}
	first, hide, err := o.showModules()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := o.showModules()
	var twice prometheus.AlreadyRegisteredError
	if !errors.As(err, &twice) || other != nil {
		t.Errorf("the second: %v, want an AlreadyRegisteredError", err)
	}
	if registry.Register(first) == nil {
		t.Error("the first one's metrics have vanished")
	}
	hide()
	if err := registry.Register(first); err != nil {
		t.Errorf("they are still there: %v", err)
	}
}
