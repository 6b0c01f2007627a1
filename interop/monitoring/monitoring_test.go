// Package monitoring_test holds deploy/components/monitoring against Prometheus itself: its parser and engine, the operator's types, and
// the metrics that a running agent exposes.
package monitoring_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// rendered is the object of a kind in an installation with the component, as its own type; fields that the type doesn't have are errors.
func rendered[T any](t *testing.T, kind, name string) *T {
	t.Helper()
	objs, err := deploy.Render(deploy.Options{Overlay: "prod", Components: []string{deploy.Monitoring}})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objs {
		if obj.GetKind() != kind || obj.GetName() != name {
			continue
		}
		if obj.GetNamespace() != deploy.Namespace {
			t.Errorf("%s %s is in the namespace %q", kind, name, obj.GetNamespace())
		}
		typed := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return typed
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func alerts(t *testing.T) map[string]monitoringv1.Rule {
	t.Helper()
	found := map[string]monitoringv1.Rule{}
	for _, group := range rendered[monitoringv1.PrometheusRule](t, "PrometheusRule", deploy.Agent).Spec.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d alerts found", len(found))
	}
	return found
}

// dashboard is what the tests need of Grafana's JSON.
type dashboard struct {
	UID    string
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		Targets     []struct{ Expr string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	cm := rendered[corev1.ConfigMap](t, "ConfigMap", "slipway-dashboard")
	if cm.Labels["grafana_dashboard"] != "1" {
		t.Errorf("Grafana's sidecar would not see it: labels %v", cm.Labels)
	}
	var d dashboard
	if err := json.Unmarshal([]byte(cm.Data["slipway.json"]), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// macros are what Grafana fills in.
func macros(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h", "$namespace", ".*").Replace(expr)
}

// queries are all there are, by what asks them.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, rule := range alerts(t) {
		all["alert "+name] = rule.Expr.String()
	}
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = macros(target.Expr)
		}
	}
	return all
}

func TestThePodMonitorFindsTheAgent(t *testing.T) {
	monitor := rendered[monitoringv1.PodMonitor](t, "PodMonitor", deploy.Agent)
	pod := rendered[appsv1.StatefulSet](t, "StatefulSet", deploy.Agent).Spec.Template
	if !labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
		t.Errorf("it selects %v, the pods have %v", monitor.Spec.Selector, pod.Labels)
	}
	if job := pod.Labels[monitor.Spec.JobLabel]; job != deploy.Agent {
		t.Errorf("the job is called %q", job)
	}
	endpoint := monitor.Spec.PodMetricsEndpoints[0]
	if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == *endpoint.Port }) {
		t.Errorf("the agent has no port %q", *endpoint.Port)
	}
	if !endpoint.HonorLabels {
		t.Error("Prometheus would rename the label namespace of the agent's metrics")
	}
}

func TestPrometheusTakesTheRules(t *testing.T) {
	text, err := yaml.Marshal(rendered[monitoringv1.PrometheusRule](t, "PrometheusRule", deploy.Agent).Spec)
	if err != nil {
		t.Fatal(err)
	}
	_, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), nil)
	for _, err := range errs {
		t.Error(err)
	}
}

func TestEveryAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^### (Slipway\w+)$`).FindAllStringSubmatch(string(page), -1) {
		sections = append(sections, m[1])
	}
	all := alerts(t)
	for name, rule := range all {
		if want := "docs/monitoring.md#" + strings.ToLower(name); !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
			t.Errorf("%s: the runbook is at %q, want …%s", name, rule.Annotations["runbook_url"], want)
		}
		if !slices.Contains(sections, name) {
			t.Errorf("%s has no section in docs/monitoring.md", name)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s lacks a summary, a description or a severity", name)
		}
	}
	for _, section := range sections {
		if _, ok := all[section]; !ok {
			t.Errorf("docs/monitoring.md has a section %s, which is no alert: there are %q", section, slices.Sorted(maps.Keys(all)))
		}
	}
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	seen := map[int]bool{}
	for _, p := range d.Panels {
		if seen[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		seen[p.ID] = true
		if p.Type != "row" && (len(p.Targets) == 0 || p.Description == "") {
			t.Errorf("panel %q shows nothing, or does not say what", p.Title)
		}
	}
	if d.UID == "" || len(seen) < 20 {
		t.Errorf("uid %q, %d panels", d.UID, len(seen))
	}
}
