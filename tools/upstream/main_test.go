package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestEnsureFindsWhatIsThere(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", "") // no Go: a build would fail
	want := filepath.Join(cache, "slipway", "flux", fmt.Sprintf("flux-%s-%s-%s", programs["flux"].version, runtime.Version(), runtime.GOARCH))
	if got, err := ensure(t.Context(), "flux"); err == nil {
		t.Fatalf("with nothing in the cache and no Go: got %s and no error", got)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := ensure(t.Context(), "flux")
	if err != nil || got != want {
		t.Errorf("with the binary in the cache: got %q, %v; want %q", got, err, want)
	}
}

func TestUnknownProgramIsNamedWithWhatIsKnown(t *testing.T) {
	_, err := ensure(t.Context(), "flagger")
	if err == nil || !strings.Contains(err.Error(), "kustomize-controller") {
		t.Errorf("got %v, want an error that lists the known programs", err)
	}
}
