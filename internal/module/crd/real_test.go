package crd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

// Definitions that others have published, so that the rules are held to what upgrades really look like.
func TestPublished(t *testing.T) {
	cases := map[string]struct {
		reason           string
		was, next        string
		forward          []string
		safe, reversible bool
	}{
		"cert-manager": {
			"a minor version with new fields and a new value", "cert-manager/certificates-v1.20.3.yaml", "cert-manager/certificates-v1.21.2.yaml",
			nil, true, true,
		},
		"cert-manager back": {
			"a downgrade takes away what objects may use", "cert-manager/certificates-v1.21.2.yaml", "cert-manager/certificates-v1.20.3.yaml",
			[]string{
				"forward unsafe EnumNarrowed v1 .spec.keystores.pkcs12.profile",
				"forward unsafe FieldRemoved v1 .spec.renewal",
				"forward unsafe FieldRemoved v1 .status.acme",
			},
			false, true,
		},
		"flagger": {
			"fractions of replicas, and none at all, were valid", "flagger/canaries-v1.30.0.yaml", "flagger/canaries-v1.41.0.yaml",
			[]string{
				"forward unsafe LimitTightened v1beta1 .spec.autoscalerRef.primaryScalerReplicas.maxReplicas",
				"forward unsafe TypeNarrowed v1beta1 .spec.autoscalerRef.primaryScalerReplicas.maxReplicas",
				"forward unsafe LimitTightened v1beta1 .spec.autoscalerRef.primaryScalerReplicas.minReplicas",
				"forward unsafe TypeNarrowed v1beta1 .spec.autoscalerRef.primaryScalerReplicas.minReplicas",
			},
			false, true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := compare(t, crd.Change{Live: live(read(t, tc.was)), Next: read(t, tc.next)})
			forward := lines(crd.Report{Findings: r.Of(crd.Forward)})
			if diff := cmp.Diff(tc.forward, forward); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if r.Safe() != tc.safe || r.Reversible() != tc.reversible {
				t.Errorf("%s: safe %t, reversible %t", tc.reason, r.Safe(), r.Reversible())
			}
		})
	}
}
