package image

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// compile builds a small program as the named file, with the environment variables on top of those of the test.
func compile(t *testing.T, file, source string, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	code := filepath.Join(dir, "main.go")
	if err := os.WriteFile(code, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, file)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, code)
	cmd.Env = append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", file, err, output)
	}
	return binary
}

const hello = "package main\n\nfunc main() { println(\"hello\") }\n"

func static(t *testing.T) string {
	t.Helper()
	return compile(t, "hello", hello, "CGO_ENABLED=0", "GOOS=linux")
}

func build(t *testing.T, spec Spec) v1.Image {
	t.Helper()
	img, err := Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestSameInputSameDigest(t *testing.T) {
	binary := static(t)
	first := digest(t, build(t, Spec{Binary: binary}))

	elsewhere := filepath.Join(t.TempDir(), "hello")
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(elsewhere, data, 0o700); err != nil {
		t.Fatal(err)
	}
	if again := digest(t, build(t, Spec{Binary: elsewhere})); again != first {
		t.Errorf("the same binary in another folder, younger and with another mode: digest %s, want %s", again, first)
	}
	if err := os.WriteFile(elsewhere, append(data, 0), 0o700); err != nil {
		t.Fatal(err)
	}
	if other := digest(t, build(t, Spec{Binary: elsewhere})); other == first {
		t.Error("another binary has the same digest")
	}
}

func TestDigestStaysOnTheWayThroughAFile(t *testing.T) {
	img := build(t, Spec{Binary: static(t)})
	tag, err := ParseTag("shop/hello:1")
	if err != nil {
		t.Fatal(err)
	}
	for file, write := range map[string]func(string, name.Tag, v1.Image) error{"hello.tar": WriteTar, "hello.oci": WriteLayout} {
		path := filepath.Join(t.TempDir(), file)
		if err := write(path, tag, img); err != nil {
			t.Fatal(err)
		}
		read, _, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := digest(t, read), digest(t, img); got != want {
			t.Errorf("%s: digest %s, built as %s", file, got, want)
		}
	}
}

func TestImageRunsAsNobodyInParticular(t *testing.T) {
	certs := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(certs, []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	img := build(t, Spec{Binary: static(t), CACerts: certs})
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/hello"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entrypoint (-want +got):\n%s", diff)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("user %q, want 65532:65532: runAsNonRoot can only judge numbers", config.Config.User)
	}
	want := map[string]int64{
		"etc/": 0o755, "etc/group": 0o444, "etc/passwd": 0o444, "home/": 0o755, "home/nonroot/": 0o700, "tmp/": 0o1777,
		"etc/ssl/": 0o755, "etc/ssl/certs/": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o444, "hello": 0o555,
	}
	if diff := cmp.Diff(want, modes(t, img)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func modes(t *testing.T, img v1.Image) map[string]int64 {
	t.Helper()
	content := mutate.Extract(img)
	defer content.Close()
	found := map[string]int64{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		name := header.Name
		if header.Typeflag == tar.TypeDir && !strings.HasSuffix(name, "/") {
			name += "/"
		}
		found[name] = header.Mode
	}
}

func TestBuildRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "run.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		spec   Spec
		want   error
	}{
		"Script":   {"there is no shell in an image", Spec{Binary: script}, ErrNotLinux},
		"Absent":   {"a typing mistake must be told as one", Spec{Binary: filepath.Join(t.TempDir(), "no")}, os.ErrNotExist},
		"Platform": {"it would not start there", Spec{Binary: static(t), Platform: "linux/s390x"}, ErrPlatform},
		"Dynamic":  {"there is no linker in an image", Spec{Binary: "/bin/ls"}, ErrNotStatic},
		"NoCerts":  {"an image without them would fail later", Spec{Binary: static(t), CACerts: "/no/such"}, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Build(tc.spec); !errors.Is(err, tc.want) {
				t.Errorf("%s: got error %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

func TestPlatformComesFromTheBinary(t *testing.T) {
	binary := compile(t, "hello", hello, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	config, err := build(t, Spec{Binary: binary}).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != "arm64" {
		t.Errorf("platform %s/%s, want linux/arm64", config.OS, config.Architecture)
	}
}

func TestWrittenImageIsReadAgain(t *testing.T) {
	img := build(t, Spec{Binary: static(t)})
	tag := parse(t, "shop/cart:1")
	tar, folder := filepath.Join(t.TempDir(), "cart.tar"), filepath.Join(t.TempDir(), "cart")
	if err := WriteTar(tar, tag, img); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one replaces the first
		if err := WriteLayout(folder, tag, img); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{tar, folder} {
		got, ref, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if full := FullName(parse(t, ref)); full != "docker.io/shop/cart:1" {
			t.Errorf("%s: name %q, want docker.io/shop/cart:1", path, full)
		}
		if diff := cmp.Diff(modes(t, img), modes(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestPushedImageIsWhereAMirrorLooks(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	img := build(t, Spec{Binary: static(t)})
	for ref, repository := range map[string]string{
		"cart:1":                     "docker.io/library/cart:1",
		"shop/cart:1":                "docker.io/shop/cart:1",
		"ghcr.io/shop/cart:1":        "ghcr.io/shop/cart:1",
		"localhost:5000/cart:latest": "localhost_5000/cart:latest",
	} {
		hash, err := Push(context.Background(), address, parse(t, ref), img)
		if err != nil {
			t.Fatal(err)
		}
		target, err := name.NewTag(address+"/"+repository, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		found, err := remote.Head(target)
		if err != nil {
			t.Errorf("%s isn't found as %s: %v", ref, repository, err)
			continue
		}
		if found.Digest != hash {
			t.Errorf("%s: digest %s, want %s", ref, found.Digest, hash)
		}
	}
}

func parse(t *testing.T, ref string) name.Tag {
	t.Helper()
	tag, err := ParseTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}
