package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/slipway-dev/slipway/examples/shop"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// render builds the staging overlay of a repository's files.
func render(t *testing.T, files map[string]string) string {
	t.Helper()
	disk := filesys.MakeFsInMemory()
	for path, text := range files {
		if err := disk.WriteFile("/"+path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+overlayPath)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestManifestsAndTheChangeBuild(t *testing.T) {
	d := &demo{images: &images{first: map[string]string{}}}
	for _, service := range shop.Services() {
		d.images.first["shop/"+service] = digest
	}
	files, err := d.manifests()
	if err != nil {
		t.Fatal(err)
	}
	first := render(t, files)
	for _, service := range shop.Services() {
		if want := "image: shop/" + service + ":" + firstVersion + "@" + digest; !strings.Contains(first, want) {
			t.Errorf("no %q in:\n%s", want, first)
		}
	}
	if !strings.Contains(first, firstGreeting) {
		t.Errorf("no %q in:\n%s", firstGreeting, first)
	}

	overlay, err := setImage(files[overlayFile], "shop/web", secondVersion, digest)
	if err != nil {
		t.Fatal(err)
	}
	if overlay, err = setLiteral(overlay, "web", "WEB_GREETING="+secondGreeting); err != nil {
		t.Fatal(err)
	}
	files[overlayFile] = overlay
	second := render(t, files)
	for _, want := range []string{"image: shop/web:" + secondVersion + "@" + digest, "image: shop/cart:" + firstVersion + "@", secondGreeting} {
		if !strings.Contains(second, want) {
			t.Errorf("no %q in:\n%s", want, second)
		}
	}
}

func TestSetImageRefusesWhatIsNotThere(t *testing.T) {
	if _, err := setImage("images: []\n", "shop/web", "1", digest); err == nil || !strings.Contains(err.Error(), "shop/web") {
		t.Errorf("error %v", err)
	}
}

func TestTheBrokenManifestIsBroken(t *testing.T) {
	d := &demo{images: &images{first: map[string]string{}}}
	files, err := d.manifests()
	if err != nil {
		t.Fatal(err)
	}
	files["deploy/base/cart.yaml"] = broken
	disk := filesys.MakeFsInMemory()
	for path, text := range files {
		if err := disk.WriteFile("/"+path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+overlayPath); err == nil {
		t.Error("it builds")
	}
}

func TestScreenWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	s := &screen{out: &out, now: func() time.Time { clock = clock.Add(1500 * time.Millisecond); return clock }}
	s.chapter("Ground")
	if err := s.step("it works", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("out of rope")
	if err := s.step("it breaks", func() error { return cause }); !errors.Is(err, cause) {
		t.Errorf("step returned %v", err)
	}
	s.command("git push")
	s.fail(cause)
	want := "\n1. Ground\n   ✓ it works 1.5 s\n   ✗ it breaks 1.5 s\n   $ git push\n\nThe demo doesn't hold: out of rope\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		12 * time.Millisecond: "12 ms", 1940 * time.Millisecond: "1.9 s", 61 * time.Second: "1m1s",
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	want := []string{"one two", "three", "four"}
	if diff := cmp.Diff(want, wrap("one two three\nfour\n", 8)); diff != "" {
		t.Errorf("wrap (-want +got):\n%s", diff)
	}
}

func TestRunUsage(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   int
	}{
		"Help":     {"help is no failure", []string{"-h"}, exitDone},
		"Unknown":  {"an unknown flag is a usage error", []string{"-colour"}, exitUsage},
		"Argument": {"so is an argument", []string{"please"}, exitUsage},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := run(t.Context(), tc.args, os.Stdout, &bytes.Buffer{}); got != tc.want {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestCloneReplacePushRevert(t *testing.T) {
	remote := filepath.Join(t.TempDir(), "shop.git")
	if out, err := exec.CommandContext(t.Context(), "git", "init", "--quiet", "--bare", "--initial-branch=main", remote).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "work")
	for run := range 2 { // the second time over what the first has left
		c, err := openClone(t.Context(), dir, remote)
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		if err := c.replace(map[string]string{"deploy/a": "first"}); err != nil {
			t.Fatal(err)
		}
		first, err := c.push(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.write("deploy/a", "second"); err != nil {
			t.Fatal(err)
		}
		second, err := c.push(t.Context(), "second")
		if err != nil {
			t.Fatal(err)
		}
		third, err := c.revert(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first == second || second == third || !strings.HasPrefix(third, "main@sha1:") {
			t.Errorf("revisions %s, %s, %s", first, second, third)
		}
		if got, err := c.read("deploy/a"); err != nil || got != "first" {
			t.Errorf("after the revert the file has %q (%v)", got, err)
		}
		if _, err := c.read("deploy/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read of nothing: %v", err)
		}
	}
}
