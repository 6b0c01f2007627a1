package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-dev/slipway/internal/agent"
)

// scrape returns the values of all series of an agent, each as name{label="value",…}.
func scrape(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				out[key+"_count"], out[key+"_sum"] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			case m.GetCounter() != nil:
				out[key] = m.GetCounter().GetValue()
			default:
				out[key] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

func TestMetricsTellWhatHappenedToAnObject(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(o *agent.Options) { o.Metrics = registry })
	revision := w.commit(map[string]string{"app/a.yaml": configMapFile("a", "1"), "app/b.yaml": configMapFile("b", "1"), "other.txt": "x"})
	w.source()
	k := w.kustomization("app", in("app"), func(k *kustomizev1.Kustomization) { k.Spec.Wait = true })
	w.applied(k, revision)

	object := fmt.Sprintf(`kind="Kustomization",name="app",namespace=%q`, w.Namespace)
	info := func(ready, revision string) string {
		return fmt.Sprintf(`gotk_resource_info{customresource_group="kustomize.toolkit.fluxcd.io",customresource_kind="Kustomization",`+
			`customresource_version="v1",exported_namespace=%q,name="app",ready=%q,reason="ReconciliationSucceeded",revision=%q,source_name="shop",suspended="false"}`,
			w.Namespace, ready, revision)
	}
	var got map[string]float64
	// The numbers of a run are complete when it has ended, a moment after the status that the test saw.
	w.poll("the first run's metrics", func() bool {
		got = scrape(t, registry)
		return got[`slipway_phase_duration_seconds{kind="Kustomization",phase="wait"}_count`] > 0 && got[info("True", revision)] == 1
	}, &got)
	for series, least := range map[string]float64{
		"slipway_object_managed_objects{" + object + "}":                           2,
		"slipway_object_api_requests_total{" + object + "}":                        4,
		"gotk_reconcile_duration_seconds{" + object + "}_count":                    1,
		`slipway_phase_duration_seconds{kind="Kustomization",phase="build"}_count`: 1,
		`slipway_phase_duration_seconds{kind="Kustomization",phase="apply"}_count`: 1,
		`slipway_queue_duration_seconds{kind="Kustomization"}_count`:               1,
		`slipway_wakeups_total{cause="spec",kind="Kustomization"}`:                 1,
		`slipway_builds_total{result="made"}`:                                      1,
		`slipway_api_requests_total{code="200",verb="watch"}`:                      1,
		`slipway_watches{state="open"}`:                                            1,
		`slipway_watched_objects{}`:                                                2,
		`slipway_fetched_bytes_total{kind="GitRepository"}`:                        100,
		`slipway_delivery_duration_seconds{kind="Kustomization"}_count`:            1,
		`slipway_store_bytes{}`:                                                    100,
		`slipway_store_free_bytes{}`:                                               1,
		`slipway_store_capacity_bytes{}`:                                           1,
	} {
		if got[series] < least {
			t.Errorf("%s is %v, want at least %v", series, got[series], least)
		}
	}
	if waited, ok := got[`slipway_queue_oldest_seconds{kind="Kustomization"}`]; !ok || waited > patience.Seconds() {
		t.Errorf("an object waits for a worker for %v s (told: %v)", waited, ok)
	}
	if t.Failed() {
		t.Fatalf("all series: %v", got)
	}

	if err := w.client.Delete(w.Context(), w.configMap("a")); err != nil {
		t.Fatal(err)
	}
	w.value("a", "1")
	w.poll("drift is counted", func() bool {
		got = scrape(t, registry)
		return got["slipway_object_drift_found_total{"+object+"}"] == 1 && got["slipway_object_drift_corrected_total{"+object+"}"] == 1
	}, &got)

	revision = w.commit(map[string]string{"other.txt": "y"})
	w.fetch()
	w.applied(k, revision)
	w.poll("a revision that changes nothing is a build less", func() bool {
		got = scrape(t, registry)
		return got[`slipway_builds_total{result="skipped"}`] == 1 && got[info("True", revision)] == 1
	}, &got)
	if n := got["slipway_sweep_found_total{}"]; n != 0 {
		t.Errorf("slipway_sweep_found_total is %v: there was no sweep", n)
	}
	if n := got[`slipway_delivery_duration_seconds{kind="Kustomization"}_count`]; n != 2 {
		t.Errorf("%v deliveries were timed, want one for each of two revisions", n)
	}

	if err := w.client.Delete(w.Context(), k); err != nil {
		t.Fatal(err)
	}
	w.gone(k)
	w.poll("the end of the object's series", func() bool {
		for series := range scrape(t, registry) {
			if strings.Contains(series, `name="app"`) {
				got = map[string]float64{series: 1}
				return false
			}
		}
		return true
	}, &got)
}

// TestASweepFindsNothing: with watches that work, the safety net has nothing to do.
func TestASweepFindsNothing(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(o *agent.Options) { o.Metrics, o.Kustomizations.Sweep = registry, time.Second })
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	w.applied(w.kustomization("app"), revision)
	var got map[string]float64
	w.poll("two sweeps", func() bool {
		got = scrape(t, registry)
		return got["slipway_sweeps_total{}"] >= 2
	}, &got)
	if n := got["slipway_sweep_found_total{}"]; n != 0 {
		t.Errorf("sweeps found %v objects that no watch told of", n)
	}
}
