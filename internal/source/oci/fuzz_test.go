package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"regexp"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-dev/slipway/internal/source"
)

// FuzzManifest reads manifests and indexes from strangers, and selects a layer.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"mediaType":"a","digest":"sha256:ae5a1014447dd9ea812f9f504efec1e8c213f332cffbf2d025e89d7fdfb5b195","size":1}],"annotations":{"a":"b"}}`), "a")
	f.Add([]byte(`{"manifests":[{"platform":{"os":"linux","architecture":"amd64"},"digest":"sha256:ae5a1014447dd9ea812f9f504efec1e8c213f332cffbf2d025e89d7fdfb5b195"}]}`), "")
	f.Add([]byte(`{"layers":[{"digest":null}]}`), "")
	f.Fuzz(func(t *testing.T, raw []byte, mediaType string) {
		_, _ = platformOf(raw)
		m, err := parseManifest(raw)
		if err != nil {
			return
		}
		l, err := selectLayer(m, mediaType)
		var typed *source.Error
		if err != nil && !errors.As(err, &typed) {
			t.Errorf("%v is a %T", err, err)
		}
		if err == nil && (l.Digest.Hex == "" || mediaType != "" && string(l.MediaType) != mediaType) {
			t.Errorf("selected %+v", l)
		}
	})
}

// FuzzLayer unpacks layers from strangers: whatever is in them, what comes out lies in the tree, within its bounds.
func FuzzLayer(f *testing.F) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	a := tar.NewWriter(z)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "a/b.yaml", Size: 1}, {Typeflag: tar.TypeSymlink, Name: "l", Linkname: "a/b.yaml"}, {Typeflag: tar.TypeDir, Name: "d/"},
	} {
		if err := a.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := a.Write([]byte("x")); err != nil {
				f.Fatal(err)
			}
		}
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes(), true)
	f.Add([]byte{0x1f, 0x8b}, false)
	f.Add([]byte{}, false)
	store, err := source.NewStore(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	limits := source.Limits{MaxFiles: 20, MaxFileBytes: 1 << 10, MaxTreeBytes: 4 << 10, MaxUnpackedBytes: 1 << 20, MaxPackBytes: 1 << 20, MaxDepth: 8}
	f.Fuzz(func(t *testing.T, raw []byte, all bool) {
		d, err := store.Receive(context.Background(), bytes.NewReader(raw), "", limits)
		if err != nil {
			return
		}
		defer d.Discard()
		snap, err := d.Unpack(context.Background(), source.UnpackOptions{Revision: "x", KeepAll: all, Strict: true})
		if err != nil {
			return
		}
		total, files := 0, 0
		err = fs.WalkDir(snap.FS(), ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := fs.ReadFile(snap.FS(), p)
			total, files = total+len(data), files+1
			return err
		})
		if err != nil || total > 4<<10 || files > 20 {
			t.Errorf("%d bytes in %d files: %v", total, files, err)
		}
	})
}

// FuzzTags finds the highest version among tags from strangers.
func FuzzTags(f *testing.F) {
	f.Add("1.2.3", "v2.0.0-rc.1", ">=1.0.0")
	f.Add("1.0.0_a", "latest", "1.x")
	f.Fuzz(func(t *testing.T, a, b, wanted string) {
		c, err := semver.NewConstraint(wanted)
		if err != nil {
			return
		}
		all := regexp.MustCompile("")
		one, okOne := highest([]string{a, b}, c, all, false)
		two, okTwo := highest([]string{b, a}, c, all, false)
		if one != two || okOne != okTwo {
			t.Errorf("the order decides: %q %q", one, two)
		}
	})
}

// FuzzLogins reads pull secrets.
func FuzzLogins(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		repo, err := parseURL("oci://registry.example.com/a/b", false)
		if err != nil {
			t.Fatal(err)
		}
		auth, err := AuthFromSecrets(Secrets{Pull: []map[string][]byte{{dockerConfigJSON: raw}}})
		if err == nil {
			_, _ = auth.loginFor(repo)
		}
	})
}

// FuzzURL reads spec.url.
func FuzzURL(f *testing.F) {
	f.Add("oci://registry.example.com:5000/a/b")
	f.Add("oci://[::1]/a:b@c")
	f.Fuzz(func(t *testing.T, raw string) {
		repo, err := parseURL(raw, true)
		if err == nil && repo.Name() == "" {
			t.Errorf("%q has no name", raw)
		}
		_, _ = ParseLocation(raw)
	})
}
