package pack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
)

func FuzzManifest(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(least))
	f.Add([]byte(least + "schema: {$ref: '#/$defs/a', $defs: {a: {$ref: '#'}}}\n"))
	f.Add([]byte(least + "schema: {pattern: '(('}\ngate: {soak: -1s}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := pack.ParseManifest(text)
		if err != nil {
			return
		}
		written, err := yaml.Marshal(m)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if _, err := pack.ParseManifest(written); err != nil && len(written) < 1<<20 {
			t.Fatalf("what was written can't be read: %v\n%s", err, written)
		}
	})
}

// FuzzArchive sees to it that whatever a registry sends is either a package that renders the same twice, or refused.
func FuzzArchive(f *testing.F) {
	f.Add(packed(f, map[string]string{"package.yaml": least, "manifests/a.yaml": deployment}))
	files := map[string]string{"package.yaml": least}
	for name, content := range chartFiles(f) {
		files["chart/"+name[len("web/"):]] = content
	}
	f.Add(packed(f, files))
	f.Add(packed(f, map[string]string{"package.yaml": least, "../a": "b"}))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		store, err := source.NewStore(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		d, err := store.Receive(t.Context(), bytes.NewReader(archive), "", source.Limits{MaxPackBytes: 1 << 20})
		if err != nil {
			return
		}
		defer d.Discard()
		snap, err := d.Unpack(t.Context(), source.UnpackOptions{KeepAll: true, Strict: true})
		if err != nil {
			return
		}
		p, err := pack.Open(t.Context(), store, snap.FS())
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		first, err := p.Render(ctx, pack.Rendering{Name: "a", Namespace: "b"})
		if err != nil {
			return
		}
		again, err := p.Render(ctx, pack.Rendering{Name: "a", Namespace: "b"})
		if err != nil {
			if ctx.Err() == nil {
				t.Fatal(err)
			}
			return
		}
		one, _ := json.Marshal(first) //nolint:errchkjson // It came from JSON.
		two, _ := json.Marshal(again) //nolint:errchkjson // As above.
		if !bytes.Equal(one, two) {
			t.Errorf("other objects the second time:\n%s\n%s", one, two)
		}
	})
}

// FuzzValues sees to it that no value of a person turns up in a message.
func FuzzValues(f *testing.F) {
	const text = least + `
schema: {properties: {a: {enum: [x]}, b: {type: integer, maximum: 3}, c: {pattern: "^q$"}, d: {type: array, items: {maxLength: 1}, uniqueItems: true}}}
substitute: true
`
	store, err := source.NewStore(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	p, err := pack.Open(f.Context(), store, tree(map[string]string{"package.yaml": text, "manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '${a}'}\n"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a", "v")
	f.Add("b", "v")
	f.Add("d", "v\n\"v")
	f.Fuzz(func(t *testing.T, key, value string) {
		const mark = "hunter2-hunter2"
		value = mark + value
		_, err := p.Render(t.Context(), pack.Rendering{Namespace: "x", Values: pack.Values{key: value, "d": []any{value, value}, "e": map[string]any{key: value}}})
		if err != nil && bytes.Contains([]byte(err.Error()), []byte(mark)) {
			t.Errorf("%v shows a value", err)
		}
	})
}
