package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

// member is one entry of an archive that a test packs.
type member struct {
	name, body, link string
	kind             byte
	mode             int64
}

func pack(t testing.TB, zipped bool, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = nopCloser{&out}
	if zipped {
		w = gzip.NewWriter(&out)
	}
	archive := tar.NewWriter(w)
	for i, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: m.mode, Size: int64(len(m.body)), ModTime: time.Unix(int64(i), 0), Uid: i}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(archive, m.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(archive.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// unpack receives and unpacks an archive in a store of its own.
func unpack(t testing.TB, data []byte, limits source.Limits, opts source.UnpackOptions) (*source.Snapshot, error) {
	t.Helper()
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return unpackInto(t, store, data, limits, opts)
}

func unpackInto(t testing.TB, store *source.Store, data []byte, limits source.Limits, opts source.UnpackOptions) (*source.Snapshot, error) {
	t.Helper()
	d, err := store.Receive(t.Context(), bytes.NewReader(data), "", limits)
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	return d.Unpack(t.Context(), opts)
}

// contents lists what can be read in a snapshot.
func contents(t testing.TB, snap *source.Snapshot) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(snap.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(snap.FS(), name)
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestUnpack(t *testing.T) {
	ignore := "*.md\n!keep.md\n"
	files := []member{{name: "./", kind: tar.TypeDir}, {name: "./deploy/a.yaml", body: "a"}, {name: "readme.md", body: "r"}, {name: "keep.md", body: "k"}, {name: "logo.png", body: "p"}}
	for name, tc := range map[string]struct {
		reason  string
		members []member
		opts    source.UnpackOptions
		want    map[string]string
	}{
		"defaults": {
			reason:  "images are left out where nothing else is said",
			members: files, want: map[string]string{"deploy/a.yaml": "a", "readme.md": "r", "keep.md": "k"},
		},
		"spec.ignore": {
			reason:  "the rules of the spec replace the defaults",
			members: files, opts: source.UnpackOptions{Ignore: &ignore},
			want: map[string]string{"deploy/a.yaml": "a", "keep.md": "k", "logo.png": "p"},
		},
		"everything": {
			reason:  "an archive that another controller made is kept as it is",
			members: files, opts: source.UnpackOptions{KeepAll: true},
			want: map[string]string{"deploy/a.yaml": "a", "readme.md": "r", "keep.md": "k", "logo.png": "p"},
		},
		"ignore files": {
			reason:  "the rules of a .sourceignore count for its directory, wherever in the archive it stands",
			members: []member{{name: "x/a.txt", body: "1"}, {name: "a.txt", body: "2"}, {name: "x/.sourceignore", body: "*.txt\n"}},
			want:    map[string]string{"a.txt": "2", "x/.sourceignore": "*.txt\n"},
		},
		"twice": {
			reason:  "of two entries with one path the later counts, as with tar",
			members: []member{{name: "a", body: "1"}, {name: "./a", body: "22"}},
			want:    map[string]string{"a": "22"},
		},
		"link": {
			reason:  "a link is followed within the tree",
			members: []member{{name: "a", body: "1"}, {name: "dir/b", kind: tar.TypeSymlink, link: "../a"}},
			want:    map[string]string{"a": "1", "dir/b": "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, zipped := range []bool{true, false} {
				snap, err := unpack(t, pack(t, zipped, tc.members...), source.Limits{}, tc.opts)
				if err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				if diff := cmp.Diff(tc.want, contents(t, snap)); diff != "" {
					t.Errorf("%s (zipped %v):\n%s", tc.reason, zipped, diff)
				}
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	bomb := bytes.Repeat([]byte("0"), 1<<20)
	small := source.Limits{MaxTreeBytes: 1000, MaxFileBytes: 500, MaxFiles: 3, MaxDepth: 4, MaxUnpackedBytes: 64 << 10, MaxPackBytes: 32 << 10}
	for name, tc := range map[string]struct {
		reason string
		data   []byte
		want   string // of the error
		says   string
	}{
		"upwards":     {"a path leads out", pack(t, true, member{name: "../a", body: "1"}), source.ReasonContentInvalid, "leads out"},
		"hidden":      {"a path leads out and in again", pack(t, true, member{name: "a/../../b", body: "1"}), source.ReasonContentInvalid, "leads out"},
		"absolute":    {"a path begins at the machine's root", pack(t, true, member{name: "/etc/a", body: "1"}), source.ReasonContentInvalid, "leads out"},
		"backslash":   {"no consumer would unpack it", pack(t, true, member{name: `a\b`, body: "1"}), source.ReasonContentInvalid, "backslash"},
		"hard link":   {"it could name any file", pack(t, true, member{name: "a", kind: tar.TypeLink, link: "/etc/passwd"}), source.ReasonContentInvalid, "neither a file"},
		"device":      {"there is nothing to read", pack(t, true, member{name: "a", kind: tar.TypeChar}), source.ReasonContentInvalid, "neither a file"},
		"file as dir": {"one of them would be lost", pack(t, true, member{name: "a", body: "1"}, member{name: "a/b", body: "1"}), source.ReasonContentInvalid, "directory should be"},
		"bomb":        {"it unpacks to far more than was sent", pack(t, true, member{name: "a.yaml", body: string(bomb[:40<<10])}), source.ReasonLimitExceeded, "MaxFileBytes=500"},
		"hidden bomb": {"what is left out unpacks as well", pack(t, true, member{name: "a.png", body: string(bomb)}, member{name: "b", body: "1"}), source.ReasonLimitExceeded, "MaxUnpackedBytes"},
		"many":        {"a file too many", pack(t, true, member{name: "a"}, member{name: "b"}, member{name: "c"}, member{name: "d"}), source.ReasonLimitExceeded, "MaxFiles=3"},
		"sum":         {"all files together are too much", pack(t, true, member{name: "a", body: string(bomb[:400])}, member{name: "b", body: string(bomb[:400])}, member{name: "c", body: string(bomb[:400])}), source.ReasonLimitExceeded, "MaxTreeBytes=1000"},
		"deep":        {"directories without end", pack(t, true, member{name: "a/b/c/d/e"}), source.ReasonLimitExceeded, "MaxDepth=4"},
		"sent":        {"more is sent than may be", pack(t, false, member{name: "a", body: string(bomb)}), source.ReasonLimitExceeded, "MaxPackBytes"},
		"long link":   {"a link is no file", pack(t, true, member{name: "a", kind: tar.TypeSymlink, link: strings.Repeat("x/", 4096)}), source.ReasonLimitExceeded, "link target"},
		"cut":         {"the end is missing", pack(t, true, member{name: "a", body: string(bomb[:400])})[:100], source.ReasonContentInvalid, "can't be read"},
		"no archive":  {"a page of a proxy", []byte("<html>please log in</html>"), source.ReasonContentInvalid, "can't be read"},
		"zstd":        {"a compression that isn't known", []byte{0x28, 0xb5, 0x2f, 0xfd, 0}, source.ReasonContentInvalid, "zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := unpack(t, tc.data, small, source.UnpackOptions{})
			var typed *source.Error
			if !errors.As(err, &typed) || typed.Reason != tc.want || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: got %v (%+v), want %s with %q", tc.reason, err, typed, tc.want, tc.says)
			}
		})
	}
}

func TestDigestOfFiles(t *testing.T) {
	base := []member{{name: "a", body: "1", mode: 0o644}, {name: "b/c", body: "2", mode: 0o755}, {name: "l", kind: tar.TypeSymlink, link: "a"}}
	first, err := unpack(t, pack(t, true, base...), source.Limits{}, source.UnpackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	turned := slices.Clone(base)
	slices.Reverse(turned)
	for name, tc := range map[string]struct {
		members []member
		same    bool
	}{
		"order, times, owners, directories": {append([]member{{name: "b/", kind: tar.TypeDir}}, turned...), true},
		"other permissions":                 {[]member{{name: "a", body: "1", mode: 0o600}, {name: "b/c", body: "2", mode: 0o700}, base[2]}, true},
		"executable bit":                    {[]member{base[0], {name: "b/c", body: "2", mode: 0o644}, base[2]}, false},
		"content":                           {[]member{{name: "a", body: "3"}, base[1], base[2]}, false},
		"name":                              {[]member{{name: "x", body: "1"}, base[1], base[2]}, false},
		"link":                              {[]member{base[0], base[1], {name: "l", kind: tar.TypeSymlink, link: "b/c"}}, false},
	} {
		snap, err := unpack(t, pack(t, false, tc.members...), source.Limits{}, source.UnpackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if same := snap.Digest() == first.Digest(); same != tc.same {
			t.Errorf("%s: same digest %v, want %v", name, same, tc.same)
		}
	}
}

// TestSnapshotOfFilesSurvives a restart of the process and a collection, under all the names that it has.
func TestSnapshotOfFilesSurvives(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	open := func() *source.Store {
		t.Helper()
		store, err := source.NewStore(dir, source.WithClock(func() time.Time { return now }))
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open()
	data := pack(t, true, member{name: "a", body: "1"})
	download, err := store.Receive(t.Context(), bytes.NewReader(data), "", source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := download.Unpack(t.Context(), source.UnpackOptions{Revision: "latest@sha256:abc"})
	if err != nil {
		t.Fatal(err)
	}
	archive := download.Digest()
	download.Discard()
	if err := errors.Join(store.Remember("manifest abc", snap), store.RememberArchive(archive, snap)); err != nil {
		t.Fatal(err)
	}

	store = open()
	now = now.Add(time.Hour)
	if err := store.Retain(archive); err != nil {
		t.Fatal(err)
	}
	again, ok := store.Recall("manifest abc")
	if !ok || again.Digest() != snap.Digest() || again.Revision() != "latest@sha256:abc" {
		t.Fatalf("recalled %v, %v", again, ok)
	}
	if _, ok := store.Get(archive); !ok {
		t.Error("the archive's digest isn't known any more")
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, contents(t, again)); diff != "" {
		t.Error(diff)
	}
	now = now.Add(time.Hour)
	if err := store.Retain(); err != nil {
		t.Fatal(err)
	}
	if _, ok := store.Recall("manifest abc"); ok {
		t.Error("what nobody needs is still there")
	}
}

// TestDraftIsNotCollected while it grows, although nothing names its content yet.
func TestDraftIsNotCollected(t *testing.T) {
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	draft := store.NewDraft(source.Limits{})
	defer draft.Discard()
	for name, body := range map[string]string{"a": "1", "b": "2"} {
		if err := draft.File(t.Context(), name, 0o644, "etag-"+body, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Retain(); err != nil {
		t.Fatal(err)
	}
	first, err := draft.Snapshot("one")
	if err != nil {
		t.Fatal(err)
	}

	next := store.NewDraft(source.Limits{})
	defer next.Discard()
	for _, tc := range []struct {
		name, origin string
		want         bool
	}{
		{"a", "etag-1", true}, {"b", "other", false}, {"b", "", false}, {"c", "etag-1", false},
	} {
		if got, err := next.Reuse(first, tc.name, tc.origin); err != nil || got != tc.want {
			t.Errorf("reuse %s with %q: %v, %v", tc.name, tc.origin, got, err)
		}
	}
	if err := next.File(t.Context(), "b", 0o644, "other", strings.NewReader("3")); err != nil {
		t.Fatal(err)
	}
	second, err := next.Snapshot("two")
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, second); !maps.Equal(got, map[string]string{"a": "1", "b": "3"}) {
		t.Errorf("the second tree has %v", got)
	}
}

func TestReceiveChecksTheDigest(t *testing.T) {
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const (
		sum256 = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
		sum384 = "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
	)
	for digest, want := range map[string]bool{
		sum256: true, sum384: true, "": true,
		"sha256:" + strings.Repeat("0", 64): false, "sha256:abc": false, "md5:900150983cd24fb0d6963f7d28e17f72": false,
	} {
		d, err := store.Receive(t.Context(), strings.NewReader("abc"), digest, source.Limits{})
		if (err == nil) != want {
			t.Errorf("%q: %v", digest, err)
		}
		if err == nil {
			if d.Digest() != sum256 || d.Size() != 3 {
				t.Errorf("%q: it is %s, %d bytes", digest, d.Digest(), d.Size())
			}
			d.Discard()
		}
	}
}

// FuzzUnpack: whatever the bytes are, there is a tree within the limits or a typed error.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, false, member{name: "a", body: "1"}, member{name: "d/", kind: tar.TypeDir}, member{name: "l", kind: tar.TypeSymlink, link: "a"}))
	f.Add(pack(f, true, member{name: "../a", body: "1"}))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	store, err := source.NewStore(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		snap, err := unpackInto(t, store, data, source.Limits{MaxTreeBytes: 1 << 16, MaxUnpackedBytes: 1 << 18, MaxFiles: 50}, source.UnpackOptions{})
		var typed *source.Error
		if err != nil && !errors.As(err, &typed) {
			t.Fatalf("an untyped error: %v", err)
		}
		if err != nil {
			return
		}
		for name, text := range contents(t, snap) {
			if !fs.ValidPath(name) || len(text) > 1<<16 {
				t.Fatalf("%q got into the store", name)
			}
		}
	})
}
