package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestEnsureFindsWhatIsThere(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", "") // no Go: a build would fail
	want := filepath.Join(cache, "slipway", "flux", fmt.Sprintf("flux-%s-%s-%s", version, runtime.Version(), runtime.GOARCH))
	if got, err := ensure(t.Context()); err == nil {
		t.Fatalf("with nothing in the cache and no Go: got %s and no error", got)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := ensure(t.Context())
	if err != nil || got != want {
		t.Errorf("with the binary in the cache: got %q, %v; want %q", got, err, want)
	}
}
