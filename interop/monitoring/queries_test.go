package monitoring_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const patience = time.Minute

// added are the labels that a scrape adds to all that it finds.
var added = []string{"job", "instance", "pod", "container", "namespace"}

// eventual are metrics that have no series before something goes wrong, with their labels; the agent's own test of them is
// internal/telemetry's, and docs/metrics_test.go holds names and labels.
var eventual = map[string][]string{
	"slipway_object_contested_objects":     {"kind", "namespace", "name"},
	"slipway_object_drift_found_total":     {"kind", "namespace", "name"},
	"slipway_object_drift_corrected_total": {"kind", "namespace", "name"},
}

// seen is what an agent exposes: for each metric and label the values.
type seen map[string]map[string][]string

func (s seen) add(name string, labels []*dto.LabelPair, more ...string) {
	if s[name] == nil {
		s[name] = map[string][]string{}
	}
	for _, l := range labels {
		s[name][l.GetName()] = append(s[name][l.GetName()], l.GetValue())
	}
	for _, l := range more {
		s[name][l] = nil
	}
}

// exposed runs an agent that delivers something, and scrapes it.
func exposed(t *testing.T) seen {
	t.Helper()
	text := scrapeAnAgent(t)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := seen{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetType() != dto.MetricType_HISTOGRAM {
				all.add(name, m.GetLabel())
				continue
			}
			all.add(name+"_bucket", m.GetLabel(), "le")
			all.add(name+"_sum", m.GetLabel())
			all.add(name+"_count", m.GetLabel())
		}
	}
	for name, labels := range eventual {
		all.add(name, nil, labels...)
	}
	return all
}

func scrapeAnAgent(t *testing.T) string {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t)
	c := env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	if _, err := repo.Commit(t.Context(), map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}, "first"); err != nil {
		t.Fatal(err)
	}
	opts := agent.Options{
		DataDir: t.TempDir(), Namespaces: []string{env.Namespace}, LeaderElect: true, LeaseNamespace: env.Namespace, Metrics: metrics.Registry,
	}
	opts.Kustomizations.AllowAgentIdentity = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, env.Config, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	interval := metav1.Duration{Duration: time.Hour}
	for _, obj := range []client.Object{
		&sourcev1.GitRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "shop"},
			Spec:       sourcev1.GitRepositorySpec{URL: repo.URL(), Interval: interval, Reference: &sourcev1.GitRepositoryRef{Branch: "main"}},
		},
		&kustomizev1.Kustomization{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "shop"},
			Spec: kustomizev1.KustomizationSpec{
				Interval: interval, Prune: true, Wait: true, TargetNamespace: env.Namespace,
				SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
			},
		},
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	page := httptest.NewServer(promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}))
	t.Cleanup(page.Close)
	deadline, tick := time.After(patience), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		text := get(t, page.URL)
		if strings.Contains(text, `slipway_delivery_duration_seconds_count{kind="Kustomization"} 1`) && strings.Contains(text, "slipway_standing_aside") {
			return text
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nothing was delivered within %s; the metrics are:\n%s", patience, text)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// outcomes are labels whose values depend on what happens: one that the test's agent did not have need not be wrong.
var outcomes = []string{"ready", "reason", "code", "phase", "suspended"}

// complaints are what a query asks for that isn't there.
func complaints(query string, have seen) (wrong []string, err error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, label := range added {
		known[label] = true
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		metric, ok := have[selector.Name]
		if !ok {
			wrong = append(wrong, "no metric "+selector.Name)
			return nil
		}
		for label := range metric {
			known[label] = true
		}
		for _, m := range selector.LabelMatchers {
			values, ok := metric[m.Name]
			switch {
			case m.Name == model.MetricNameLabel:
			case !ok:
				wrong = append(wrong, fmt.Sprintf("%s has no label %s but %q", selector.Name, m.Name, slices.Sorted(maps.Keys(metric))))
			case m.Type == promlabels.MatchEqual && values != nil && !slices.Contains(outcomes, m.Name) && !slices.Contains(values, m.Value):
				wrong = append(wrong, fmt.Sprintf("%s never has %s=%q", selector.Name, m.Name, m.Value))
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		var by []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = n.VectorMatching.MatchingLabels
			}
		}
		for _, label := range by {
			if !known[label] {
				wrong = append(wrong, "no metric of the query has the label "+label)
			}
		}
		return nil
	})
	return wrong, nil
}

func TestQueriesAskForWhatTheAgentExposes(t *testing.T) {
	have := exposed(t)
	for name, query := range queries(t) {
		wrong, err := complaints(query, have)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, w := range wrong {
			t.Errorf("%s: %s", name, w)
		}
	}
	// The check itself finds what is wrong.
	for _, query := range []string{
		`slipway_nothing`, `slipway_watches{status="open"}`, `slipway_watches{state="broken"}`, `sum by (flavour) (slipway_watches)`,
	} {
		if wrong, err := complaints(query, have); err != nil || len(wrong) == 0 {
			t.Errorf("%s: nothing is wrong with it (%v)", query, err)
		}
	}
}
