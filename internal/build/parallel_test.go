package build

import (
	"context"
	"os"
	"sync"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// Builds of all kinds at once, among them some that bring a schema of their own, must
// each give what they give alone. Run it with the race detector.
func TestParallelBuilds(t *testing.T) {
	b := New()
	cases := corpusCases(t)
	want := map[string]string{}
	for _, name := range cases {
		want[name] = asYAML(t, mustBuild(t, Input{Tree: corpusTree(), Path: name + "/target"}).Objects)
	}
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range rounds {
				name := cases[(worker+i)%len(cases)]
				if (name == "openapi" || name == "openapi-in-base") && i%4 != 0 {
					name = "overlays" // those with a schema parse it each time: fewer of them
				}
				got, err := b.Build(context.Background(), Input{Tree: corpusTree(), Path: name + "/target"})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if asYAML(t, got.Objects) != want[name] {
					t.Errorf("%s: a build beside others gives something else", name)
				}
			}
		})
	}
	wg.Wait()
}

func TestASchemaDoesNotLeak(t *testing.T) {
	boat := map[string]string{
		"kustomization.yaml": "resources: [boat.yaml]\npatches: [{path: patch.yaml}]\n",
		"boat.yaml":          readFile(t, corpus+"/openapi/target/boat.yaml"),
		"patch.yaml":         readFile(t, corpus+"/openapi/target/patch.yaml"),
	}
	before := asYAML(t, mustBuild(t, Input{Tree: tree(boat)}).Objects)
	with := asYAML(t, mustBuild(t, Input{Tree: corpusTree(), Path: "openapi/target"}).Objects)
	after := asYAML(t, mustBuild(t, Input{Tree: tree(boat)}).Objects)
	if before != after {
		t.Error("a build's schema changed the one after it")
	}
	if before == with {
		t.Error("the schema makes no difference: the test proves nothing")
	}
}

// Whoever else in the process sets a schema must not change later builds for good.
func TestAForeignSchemaIsDropped(t *testing.T) {
	schema := readFile(t, corpus+"/openapi/target/schema.json")
	err := withWarmSchema(func() error { return openapi.SetSchema(nil, []byte(schema), true) })
	if err != nil {
		t.Fatal(err)
	}
	if got := openapi.GetSchemaVersion(); got != openapi.DefaultOpenAPI {
		t.Errorf("the schema left behind is %q", got)
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// app is a ServiceAccount, a Service, a Deployment and an Ingress: one small service.
func app() Tree {
	return tree(map[string]string{
		"app/sa.yaml":      "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: front}\n",
		"app/svc.yaml":     "apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {selector: {app: front}, ports: [{port: 80}]}\n",
		"app/deploy.yaml":  deployment,
		"app/ingress.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: front}\nspec: {rules: [{host: a.example.org}]}\n",
		"app/kustomization.yaml": "namespace: shop\nresources: [sa.yaml, svc.yaml, deploy.yaml, ingress.yaml]\n" +
			"images: [{name: shop/front, newTag: '2'}]\n",
	})
}

func BenchmarkBuild(b *testing.B) {
	builder, in := New(), Input{Tree: app(), Path: "app"}
	mustBuild(b, in)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := builder.Build(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildWithVariables(b *testing.B) {
	builder, in := New(), Input{Tree: app(), Path: "app", Vars: map[string]string{"host": "a"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := builder.Build(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildWithOwnSchema(b *testing.B) {
	builder, in := New(), Input{Tree: corpusTree(), Path: "openapi/target"}
	for b.Loop() {
		if _, err := builder.Build(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSame(b *testing.B) {
	t := &counting{Tree: app(), filesOnly: true}
	reads := mustBuild(b, Input{Tree: t, Path: "app"}).Reads
	b.ReportAllocs()
	for b.Loop() {
		if !reads.Same(t) {
			b.Fatal("not the same")
		}
	}
}

// A schema parsed per build shows as hundreds of thousands of allocations and tens of
// megabytes; a build of a small service takes a few thousand.
func TestBuildIsCheap(t *testing.T) {
	builder, in := New(), Input{Tree: app(), Path: "app"}
	mustBuild(t, in)
	if n := testing.AllocsPerRun(10, func() { mustBuildWith(t, builder, in) }); n > 15_000 {
		t.Errorf("a build of 4 objects takes %.0f allocations", n)
	}
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mustBuildWith(b, builder, in)
		}
	})
	if n := result.AllocedBytesPerOp(); n > 1_500_000 {
		t.Errorf("a build of 4 objects takes %d bytes", n)
	}
}

func mustBuildWith(t testing.TB, b *Builder, in Input) {
	t.Helper()
	if _, err := b.Build(context.Background(), in); err != nil {
		t.Fatal(err)
	}
}
