package telemetry_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

func kustomization() telemetry.Object {
	return telemetry.Object{Kind: "Kustomization", Namespace: "shop", Name: "app"}
}

func repository() telemetry.Object {
	return telemetry.Object{Kind: "GitRepository", Namespace: "shop", Name: "shop"}
}

func registered(t *testing.T) (*telemetry.Telemetry, *prometheus.Registry) {
	t.Helper()
	tel, registry := telemetry.New(), prometheus.NewRegistry()
	if _, err := tel.Register(registry); err != nil {
		t.Fatal(err)
	}
	return tel, registry
}

func TestContestEndsByItself(t *testing.T) {
	tel, registry := registered(t)
	_, run := tel.Begin(t.Context(), kustomization())
	const name = "slipway_object_contested_objects"
	for _, tc := range []struct {
		reason string
		until  time.Duration
		want   string
	}{
		{"a contest is told while it lasts", time.Hour, name + "{kind=\"Kustomization\",name=\"app\",namespace=\"shop\"} 2\n"},
		{"and is over when nobody says that it goes on", -time.Second, ""},
	} {
		run.Contested(2, time.Now().Add(tc.until))
		if got := text(t, registry, name); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
		}
	}
}

func TestTheOldestWaitIsTold(t *testing.T) {
	tel, registry := registered(t)
	const name = "slipway_queue_oldest_seconds"
	tel.Woke(kustomization(), telemetry.Spec)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			if m := f.GetMetric()[0]; m.GetGauge().GetValue() <= 0 || m.GetLabel()[0].GetValue() != "Kustomization" {
				t.Errorf("got %v, want that a Kustomization waits", m)
			}
			return
		}
	}
	t.Errorf("no %s", name)
}

func TestDeliveriesAreTimed(t *testing.T) {
	cases := map[string]struct {
		reason, revision string
		notBefore        time.Time
		want             string
	}{
		"New":   {"from the fetch of the revision", "main@sha1:b", time.Time{}, "slipway_delivery_duration_seconds_count{kind=\"Kustomization\"} 1\n"},
		"Older": {"of a revision that has been superseded nothing is known", "main@sha1:a", time.Time{}, ""},
		"Young": {
			"what did not exist yet waited for nothing", "main@sha1:b", time.Now().Add(time.Hour),
			"slipway_delivery_duration_seconds_bucket{kind=\"Kustomization\",le=\"0.001\"} 1\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tel, registry := registered(t)
			for _, revision := range []string{"main@sha1:a", "main@sha1:b", "main@sha1:b"} {
				tel.Fetching(t.Context(), repository(), func(context.Context) (telemetry.Artifact, error) {
					return telemetry.Artifact{Revision: revision, Changed: true}, nil
				})
			}
			_, run := tel.Begin(t.Context(), kustomization())
			run.Delivered(repository(), tc.revision, tc.notBefore)
			if got := text(t, registry, "slipway_delivery_duration_seconds"); !strings.Contains(got, tc.want) || (tc.want == "") != (got == "") {
				t.Errorf("%s: got %q, want %q in it", tc.reason, got, tc.want)
			}
		})
	}
}

func TestBytesThatServersSendAreCounted(t *testing.T) {
	tel, registry := registered(t)
	ctx, _ := tel.Begin(t.Context(), repository())
	for _, c := range []context.Context{ctx, t.Context()} { // the second is nobody's
		if _, err := io.Copy(io.Discard, telemetry.Receiving(c, strings.NewReader("twelve bytes"))); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := text(t, registry, "slipway_fetched_bytes_total"), "slipway_fetched_bytes_total{kind=\"GitRepository\"} 12\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// text is how the series of a metric are scraped.
func text(t *testing.T, from prometheus.Gatherer, name string) string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	var series []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "#") {
			series = append(series, line)
		}
	}
	return strings.Join(series, "")
}
