package kube_test

import (
	"testing"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestSplitImage(t *testing.T) {
	for image, want := range map[string][3]string{
		"agent":                             {"agent", "", ""},
		"agent:1.0.0":                       {"agent", "1.0.0", ""},
		"registry.example.com:5000/agent":   {"registry.example.com:5000/agent", "", ""},
		"registry.example.com:5000/a:1@s:2": {"registry.example.com:5000/a", "1", "s:2"},
		"agent@sha256:ab":                   {"agent", "", "sha256:ab"},
	} {
		name, tag, digest := kube.SplitImage(image)
		if got := [3]string{name, tag, digest}; got != want {
			t.Errorf("%s: got %q, want %q", image, got, want)
		}
	}
}
