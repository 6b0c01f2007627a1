package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// metricRow is a row of a table in metrics.md: name, and the labels where the table has that column.
var metricRow = regexp.MustCompile("(?m)^\\| (`[a-z_*]+`(?:, `[a-z_*]+`)*) \\|(?: (?:gauge|counter|histogram) \\| ([^|]*) \\|)?")

var word = regexp.MustCompile("`([a-z_*]+)`")

func words(text string) []string {
	var out []string
	for _, m := range word.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// registerer takes the descriptions of what is registered.
type registerer struct {
	prometheus.Registerer

	descs chan<- *prometheus.Desc
}

func (r registerer) Register(c prometheus.Collector) error {
	c.Describe(r.descs)
	return nil
}

// described are the agent's own metrics with their labels.
func described() map[string][]string {
	descs := make(chan *prometheus.Desc, 100)
	telemetry.New().Describe(descs)
	aside.New(nil, nil, logr.Discard(), registerer{descs: descs})
	attempt.NewMetrics().Describe(descs)
	close(descs)
	parts := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	out := map[string][]string{}
	for d := range descs {
		m := parts.FindStringSubmatch(d.String())
		out[m[1]] = slices.DeleteFunc(strings.Split(m[2], ","), func(s string) bool { return s == "" })
	}
	return out
}

func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, m := range metricRow.FindAllStringSubmatch(string(page), -1) {
		for _, name := range words(m[1]) {
			documented[name] = words(m[2])
		}
	}
	own := described()
	if len(own) < 15 {
		t.Fatalf("only %d metrics found: the test no longer reads their descriptions", len(own))
	}
	for name, labels := range own {
		row, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("%s has no row in metrics.md", name)
		case !slices.Equal(row, labels):
			t.Errorf("%s: metrics.md has the labels %q, the metric has %q", name, row, labels)
		}
	}
	var prefixes []string
	for name := range documented {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			prefixes = append(prefixes, prefix)
		} else if _, ok := own[name]; !ok {
			t.Errorf("metrics.md has a row for %s, which is no metric", name)
		}
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(family.GetName(), prefix) }) {
			t.Errorf("%s, a library's, has no row in metrics.md", family.GetName())
		}
	}
}
