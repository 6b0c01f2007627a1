package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

func TestImageBuild(t *testing.T) {
	dir := t.TempDir()
	code, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "hello")
	writeFile(t, code, "package main\n\nfunc main() {}\n")
	compile := exec.CommandContext(t.Context(), "go", "build", "-o", binary, code)
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	digest := regexp.MustCompile(`docker\.io/shop/cart:1@(sha256:[0-9a-f]{64})`)
	var digests []string
	for _, format := range []string{"tar", "layout"} {
		file := filepath.Join(dir, format)
		got := slipway(t, "image", "build", "--binary", binary, "--tag", "shop/cart:1", "--output", format, "--file", file)
		got.want(t, ExitDone, "written to "+file)
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		if found := digest.FindStringSubmatch(got.out); found != nil {
			digests = append(digests, found[1])
		}
	}
	if len(digests) != 2 || digests[0] != digests[1] {
		t.Errorf("digests %v, want the same twice", digests)
	}
	slipway(t, "image", "build", "--binary", code, "--tag", "x").want(t, ExitFailed, "GOOS=linux")
	slipway(t, "image", "build", "--binary", binary, "--tag", "x", "--platform", "linux/s390x").want(t, ExitFailed, "another platform")
	slipway(t, "image", "build", "--binary", binary, "--tag", "UPPER/case").want(t, ExitUsage, "UPPER")
	slipway(t, "image", "load").want(t, ExitUsage, "--binary")
	slipway(t, "image", "load", filepath.Join(dir, "tar"), "--lab", "nosuch").want(t, ExitFailed, "slipway up")
}
