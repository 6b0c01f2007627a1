package agent

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/slipway/internal/delivery"
)

// TestTerms: each setting that says for whom delivery is done, and as whom, makes a difference; what means the same doesn't.
func TestTerms(t *testing.T) {
	selector := func(text string) labels.Selector {
		s, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, tc := range map[string]struct {
		reason string
		opts   Options
		want   string
	}{
		"None":     {"the default", Options{}, `{}`},
		"Same":     {"what is meant where nothing is said", Options{FluxNamespaces: []string{"flux-system"}, Selector: selector(""), DataDir: "x"}, `{}`},
		"Account":  {"who applies", Options{Kustomizations: delivery.KustomizationOptions{DefaultServiceAccount: "a"}}, `{"default-service-account":"a"}`},
		"Identity": {"who applies", Options{Kustomizations: delivery.KustomizationOptions{AllowAgentIdentity: true}}, `{"allow-agent-identity":"true"}`},
		"Refs":     {"whose sources", Options{Kustomizations: delivery.KustomizationOptions{NoCrossNamespaceRefs: true}}, `{"no-cross-namespace-refs":"true"}`},
		"Ready":    {"when", Options{Kustomizations: delivery.KustomizationOptions{AdditiveReadyExpr: true}}, `{"additive-ready-expr":"true"}`},
		"Files":    {"whose sources", Options{AllowFile: true}, `{"allow-file-urls":"true"}`},
		"Places":   {"whose objects, in any order", Options{Namespaces: []string{"b", "a"}}, `{"namespaces":"a,b"}`},
		"Selector": {"whose objects", Options{Selector: selector("team=a")}, `{"watch-label-selector":"team=a"}`},
		"Flux":     {"for whom it stands aside", Options{FluxNamespaces: []string{"gitops"}}, `{"flux-namespace":"gitops"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tc.opts.terms(); err != nil || got != tc.want {
				t.Errorf("%s: got %s, %v, want %s", tc.reason, got, err, tc.want)
			}
		})
	}
}
