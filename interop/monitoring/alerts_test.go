package monitoring_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// at is the moment at which the alerts are asked, after two hours of samples each minute.
const at = 2 * time.Hour

func TestAlertsFire(t *testing.T) {
	cases := map[string]struct{ reason, fires, rests string }{
		"SlipwayAgentDown":         {"no replica is seen", `up 1x120`, `slipway_watches{state="open"} 0x120`},
		"SlipwayNoLeader":          {"all stand by", `leader_election_master_status{name="slipway-agent"} 0x120`, `leader_election_master_status{name="slipway-agent"} 1x120`},
		"SlipwayStandingAside":     {"Flux works", `slipway_standing_aside{controller="kustomize-controller"} 1x120`, `slipway_standing_aside{controller="kustomize-controller"} 0x120`},
		"SlipwayQueueSlow":         {"an object waits", `slipway_queue_oldest_seconds{kind="Kustomization"} 90x120`, `slipway_queue_oldest_seconds{kind="Kustomization"} 2x120`},
		"SlipwayApiServerFails":    {"a tenth fails", "slipway_api_requests_total{code=\"200\"} 0+10x120\n slipway_api_requests_total{code=\"503\"} 0+5x120", "slipway_api_requests_total{code=\"200\"} 0+100x120\n slipway_api_requests_total{code=\"404\"} 0+100x120"},
		"SlipwayWatchesFailing":    {"a watch is off", `slipway_watches{state="failing"} 1x120`, `slipway_watches{state="failing"} 0x120`},
		"SlipwayRemoteClusterDown": {"a cluster is away", `slipway_remote_clusters{state="down"} 1x120`, `slipway_remote_clusters{state="up"} 1x120`},
		"SlipwayStoreAlmostFull": {
			"the disk is full", "slipway_store_free_bytes 5x120\n slipway_store_capacity_bytes 100x120",
			"slipway_store_free_bytes 50x120\n slipway_store_capacity_bytes 100x120\n slipway_store_bytes 50x120",
		},
		"SlipwaySourceNotReady": {
			"a source fails", `gotk_resource_info{customresource_group="source.toolkit.fluxcd.io", ready="False", suspended="false"} 1x120`,
			`gotk_resource_info{customresource_group="source.toolkit.fluxcd.io", ready="False", suspended="true"} 1x120`,
		},
		"SlipwayKustomizationFailing": {
			"it fails by itself", `gotk_resource_info{customresource_kind="Kustomization", ready="False", reason="BuildFailed", suspended="false"} 1x120`,
			`gotk_resource_info{customresource_kind="Kustomization", ready="False", reason="DependencyNotReady", suspended="false"} 1x120`,
		},
		"SlipwayKustomizationStuck": {
			"it is under way for ever", `gotk_resource_info{customresource_kind="Kustomization", ready="Unknown", suspended="false"} 1x120`,
			`gotk_resource_info{customresource_kind="Kustomization", ready="True", suspended="false"} 1x120`,
		},
		"SlipwayDriftContested":  {"somebody fights", `slipway_object_contested_objects{kind="Kustomization", namespace="shop", name="a"} 2x120`, `up 1x120`},
		"SlipwaySweepFoundDrift": {"the first find counts", `slipway_sweep_found_total 0x100 1x20`, `slipway_sweep_found_total 0x120`},
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for name, rule := range alerts(t) {
		t.Run(name, func(t *testing.T) {
			tc, ok := cases[name]
			if !ok {
				t.Fatal("no case: what makes it fire?")
			}
			for series, want := range map[string]bool{tc.fires: true, tc.rests: false} {
				storage := promqltest.LoadedStorage(t, "load 1m\n "+series)
				query, err := engine.NewInstantQuery(t.Context(), storage, nil, rule.Expr.String(), time.Unix(0, 0).Add(at))
				if err != nil {
					t.Fatal(err)
				}
				result := query.Exec(t.Context())
				if result.Err != nil {
					t.Fatal(result.Err)
				}
				if got := len(result.Value.(promql.Vector)) > 0; got != want {
					t.Errorf("%s: with\n %s\nfires: %v, want %v", tc.reason, series, got, want)
				}
				query.Close()
			}
		})
	}
}
