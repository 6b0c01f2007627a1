package agent

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
)

// What the agent watches is judged by the interpreters, and by what is built in where there is none.
func TestAgentJudgesByInterpreters(t *testing.T) {
	judge := assess(interpret.NewRegistry(interpreters.All()...))
	canary := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": map[string]any{"name": "shop"},
		"status": map[string]any{"phase": "Failed"},
	}}
	if got := judge(canary); got.State != string(health.Degraded) || got.Reason != "Failed" {
		t.Errorf("got %+v", got)
	}
	config := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "shop"}}}
	if got := judge(config); got.State != string(health.Healthy) || got.Reason != "Exists" {
		t.Errorf("got %+v", got)
	}
}
