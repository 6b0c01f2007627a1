package bundle_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/slipway-dev/slipway/internal/module/pack/bundle"
)

func write(t testing.TB, image v1.Image) []byte {
	t.Helper()
	from, desc, err := bundle.Of(image)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := bundle.NewWriter(&out)
	for _, name := range []string{"a:1", "a:2"} { // the same twice
		if err := w.Add(t.Context(), from, desc, bundle.KindPackage, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, content []byte) (*bundle.Bundle, error) {
	t.Helper()
	return bundle.Open(bytes.NewReader(content), int64(len(content)))
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	image, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	content := write(t, image)
	if again := write(t, image); !bytes.Equal(content, again) {
		t.Error("the same content makes the same bundle")
	}
	b, err := open(t, content)
	if err != nil {
		t.Fatal(err)
	}
	if items := b.Items(); len(items) != 2 || items[0].Name != "a:1" || items[1].Name != "a:2" || items[0].Kind != bundle.KindPackage {
		t.Fatalf("got %+v", items)
	}
	artifact, err := bundle.Artifact(t.Context(), b, b.Items()[0].Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := artifact.(v1.Image)
	if !ok {
		t.Fatalf("got a %T", artifact)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	if blobs := bytes.Count(content, []byte("blobs/sha256/")); blobs > 2*5 { // PAX headers may say the name again
		t.Errorf("%d blobs are in it, want 5: what is in it twice is written once", blobs)
	}
}

// tarOf makes an archive of files, whatever they are.
func tarOf(t testing.TB, headers []tar.Header, contents []string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i, h := range headers {
		h.Size = int64(len(contents[i]))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, contents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg} }

func TestHostileBundlesAreRefused(t *testing.T) {
	const layout, empty = `{"imageLayoutVersion":"1.0.0"}`, `{"schemaVersion":2,"manifests":[]}`
	zero := strings.Repeat("0", 64)
	cases := map[string]struct {
		reason   string
		headers  []tar.Header
		contents []string
	}{
		"Nothing":   {reason: "no layout"},
		"NoIndex":   {reason: "no list", headers: []tar.Header{file("oci-layout")}, contents: []string{layout}},
		"Traversal": {reason: "leads out", headers: []tar.Header{file("oci-layout"), file("index.json"), file("blobs/sha256/../../../etc/passwd")}, contents: []string{layout, empty, "x"}},
		"Stranger":  {reason: "doesn't belong there", headers: []tar.Header{file("oci-layout"), file("index.json"), file("run.sh")}, contents: []string{layout, empty, "x"}},
		"Twice":     {reason: "which of the two?", headers: []tar.Header{file("oci-layout"), file("index.json"), file("index.json")}, contents: []string{layout, empty, empty}},
		"Link":      {reason: "a link", headers: []tar.Header{file("oci-layout"), file("index.json"), {Name: "blobs/sha256/" + zero, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}}, contents: []string{layout, empty, ""}},
		"Missing":   {reason: "lists what isn't there", headers: []tar.Header{file("oci-layout"), file("index.json")}, contents: []string{layout, `{"schemaVersion":2,"manifests":[{"digest":"sha256:` + zero + `","size":1}]}`}},
		"NoJSON":    {reason: "no list at all", headers: []tar.Header{file("oci-layout"), file("index.json")}, contents: []string{layout, "["}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := open(t, tarOf(t, c.headers, c.contents)); err == nil {
				t.Error(c.reason)
			}
		})
	}
}

func TestDamageIsFound(t *testing.T) {
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	content := write(t, image)
	at := bytes.Index(content, []byte(digest.Hex))
	content[at+2048] ^= 1 // after the header, in the layer
	b, err := open(t, content)
	if err != nil {
		return // the damage was in a header
	}
	blob, err := b.Blob(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, blob); !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("got %v, want %v", err, bundle.ErrDamaged)
	}
	if _, err := b.Manifest(t.Context(), digest); !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("got %v, want %v: a layer is no manifest", err, bundle.ErrDamaged)
	}
}

func FuzzOpen(f *testing.F) {
	image, err := random.Image(10, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(write(f, image))
	f.Add(tarOf(f, []tar.Header{file("oci-layout"), file("index.json")}, []string{"{}", `{"schemaVersion":2,"manifests":[]}`}))
	f.Fuzz(func(t *testing.T, content []byte) {
		b, err := open(t, content)
		if err != nil {
			return
		}
		for _, item := range b.Items() {
			artifact, err := bundle.Artifact(t.Context(), b, item.Descriptor)
			if err != nil {
				continue
			}
			if raw, err := artifact.RawManifest(); err != nil || len(raw) == 0 {
				t.Errorf("a manifest that was read is empty: %v", err)
			}
		}
	})
}
