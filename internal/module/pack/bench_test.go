package pack_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
)

func BenchmarkOpen(b *testing.B) {
	store, err := source.NewStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		b.Fatal(err)
	}
	files := tree(map[string]string{"package.yaml": string(full), "manifests/a.yaml": deployment})
	for b.Loop() {
		if _, err := pack.Open(b.Context(), store, files); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	store, err := source.NewStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		b.Fatal(err)
	}
	manifests := tree(map[string]string{"package.yaml": string(full), "manifests/a.yaml": deployment, "manifests/b.yaml": clusterRole})
	charts := map[string]string{"package.yaml": least}
	for name, content := range chartFiles(b) {
		charts["chart/"+name[len("web/"):]] = content
	}
	for name, files := range map[string]fs.FS{"Manifests": manifests, "Chart": tree(charts)} {
		b.Run(name, func(b *testing.B) {
			p, err := pack.Open(b.Context(), store, files)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := p.Render(b.Context(), pack.Rendering{Name: "a", Namespace: "b"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
