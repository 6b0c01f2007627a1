package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// zeros is n zero bytes.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.n)
	clear(p[:n])
	z.n -= n
	return int(n), nil
}

// bomb is an archive whose only file is size zero bytes.
func bomb(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	a := tar.NewWriter(z)
	if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(a, &zeros{size}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestHostileLayers(t *testing.T) {
	t.Parallel()
	entry := func(headers ...tar.Header) []byte { return archive(t, headers, make([]string, len(headers))) }
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	many := make([]tar.Header, 60)
	for i := range many {
		many[i] = file(strings.Repeat("x", i+1))
	}
	cases := map[string]struct {
		reason string
		layer  []byte
		want   string
		text   string
	}{
		"Traversal":    {"a path out of the tree", entry(file("../../etc/passwd")), oci.ReasonLayer, "leads out of the tree"},
		"Absolute":     {"an absolute path", entry(file("/etc/passwd")), oci.ReasonLayer, "leads out of the tree"},
		"Symlink":      {"a link out of the tree", entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "a/b", Linkname: "../../x"}), oci.ReasonLayer, "symbolic link"},
		"AbsoluteLink": {"a link to the machine", entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc/passwd"}), oci.ReasonLayer, "symbolic link"},
		"HardLink":     {"a hard link", entry(file("a"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}), oci.ReasonLayer, "neither a file"},
		"Device":       {"a device", entry(tar.Header{Typeflag: tar.TypeBlock, Name: "sda"}), oci.ReasonLayer, "neither a file"},
		"Pipe":         {"a pipe", entry(tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"}), oci.ReasonLayer, "neither a file"},
		"Twice":        {"two files under one path: readers differ in which one counts", entry(file("a"), file("./a")), oci.ReasonLayer, "twice"},
		"FileAsDir":    {"a file below a file", entry(file("a"), file("a/b")), oci.ReasonLayer, "a file is where a directory should be"},
		"ManyFiles":    {"too many files", entry(many...), source.ReasonLimitExceeded, "MaxFiles"},
		"LargeFile":    {"one file that is too large", bomb(t, "a.yaml", 2<<20), source.ReasonLimitExceeded, "MaxFileBytes"},
		"Bomb":         {"a bomb in a file that rules leave out anyway", bomb(t, "a.png", 100<<20), source.ReasonLimitExceeded, "compression ratio"},
		"LargeLayer":   {"more than is received", bytes.Repeat([]byte("x"), 3<<20), source.ReasonLimitExceeded, "MaxPackBytes"},
		"NoArchive":    {"no archive", []byte("hello, this is a layer without anything in it"), oci.ReasonLayer, "archive can't be read"},
		"CutOff":       {"half an archive", layer(t, map[string]string{"a": strings.Repeat("abc", 5000)})[:60], oci.ReasonLayer, "archive can't be read"},
		"Zstd":         {"a compression that isn't read", []byte("\x28\xb5\x2f\xfd and so on"), oci.ReasonLayer, "zstd"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.push("latest", tc.layer)
			for _, operation := range []string{"extract", "copy"} {
				err := w.refused(tc.want, bounded, operating(operation))
				// What is copied is unpacked whole, so other bounds come first.
				if operation == "extract" && !strings.Contains(err.Error(), tc.text) {
					t.Errorf("%s, %s: %q doesn't say %q", operation, tc.reason, err, tc.text)
				}
			}
		})
	}
}

// bounded sets limits that a test reaches quickly.
func bounded(q *oci.Request) {
	q.Limits = source.Limits{MaxFiles: 50, MaxFileBytes: 1 << 20, MaxPackBytes: 2 << 20}
}

func operating(operation string) func(*oci.Request) {
	return func(q *oci.Request) { q.Layer = layerOperation(operation) }
}

func TestARegistryThatLies(t *testing.T) {
	t.Parallel()
	good := layer(t, map[string]string{"a": "1"})
	answer := func(part, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
				return false
			}
			_, _ = io.WriteString(rw, body)
			return true
		}
	}
	cases := map[string]struct {
		reason    string
		intercept func(http.ResponseWriter, *http.Request) bool
		want      string
		text      string
	}{
		"OtherLayer":    {"a layer with another digest", answer("/blobs/", string(layer(t, map[string]string{"a": "2"}))), oci.ReasonPull, "checksum"},
		"LongerLayer":   {"a layer that goes on", answer("/blobs/", string(good)+strings.Repeat("x", 1<<20)), oci.ReasonLayer, "digest"},
		"OtherManifest": {"a manifest with another digest", answer("/manifests/", `{"schemaVersion":2}`), oci.ReasonPull, "does not match"},
		"EndlessAnswer": {"a manifest without an end", answer("/manifests/", strings.Repeat("x", 9<<20)), source.ReasonLimitExceeded, "answer"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.push("latest", good)
			w.on(tc.intercept)
			if err := w.refused(tc.want); !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: %q doesn't say %q", tc.reason, err, tc.text)
			}
		})
	}
}

func TestAnnotationsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("latest", layer(t, map[string]string{"a": "1"}), annotated(map[string]string{"x": strings.Repeat("y", 70<<10)}))
	_ = w.refused(source.ReasonLimitExceeded)
}

// TestForeignLayer: an address in a manifest is never asked, or a manifest could have the agent ask any address in its network.
func TestForeignLayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := false
	img, err := mutate.Append(emptyArtifact(), mutate.Addendum{Layer: static.NewLayer(layer(t, map[string]string{"a": "1"}), contentType), URLs: []string{w.server.URL + "/elsewhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(w.tag("latest"), img); err != nil {
		t.Fatal(err)
	}
	w.on(func(rw http.ResponseWriter, r *http.Request) bool {
		asked = asked || r.URL.Path == "/elsewhere"
		if strings.Contains(r.URL.Path, "/blobs/") {
			rw.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	_ = w.refused(oci.ReasonPull)
	if asked {
		t.Error("an address from the manifest was asked")
	}
}
