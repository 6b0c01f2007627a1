package chart

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	helm "helm.sh/helm/v4/pkg/engine"
)

func filesIn(t testing.TB, tree fs.FS) []File {
	t.Helper()
	var all []File
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		all = append(all, File{Name: name, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func loaded(t testing.TB, tree fs.FS) *Chart {
	t.Helper()
	c, err := Load(filesIn(t, tree))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// byHelm is what Helm's own engine makes of a chart.
func byHelm(t *testing.T, tree fs.FS, values map[string]any, r Release) map[string]string {
	t.Helper()
	c := loaded(t, tree)
	values, err := plain(values)
	if err != nil {
		t.Fatal(err)
	}
	if err := chartutil.ProcessDependencies(c.root, values); err != nil {
		t.Fatal(err)
	}
	capabilities, err := r.capabilities()
	if err != nil {
		t.Fatal(err)
	}
	top, err := commonutil.ToRenderValues(c.root, values, common.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	written, err := helm.Engine{}.RenderWithContext(t.Context(), c.root, top)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// TestSameAsHelm holds what is written here against Helm's engine, for all that templates can do.
func TestSameAsHelm(t *testing.T) {
	tree := os.DirFS("testdata/full")
	cases := map[string]struct {
		reason string
		values map[string]any
	}{
		"Defaults": {reason: "the chart's own values"},
		"Given": {reason: "values over the chart's", values: map[string]any{
			"name": "mine", "replicas": int64(5), "gone": nil, "list": []any{"only", "b"}, "table": map[string]any{"z": "new", "a": map[string]any{"more": true}},
			"web": map[string]any{"color": "green", "extra": "é"}, "second": map[string]any{"name": "other"}, "global": map[string]any{"region": "us"},
		}},
		"Tagged": {reason: "a condition and a tag that a value switches", values: map[string]any{"flag": false, "tags": map[string]any{"never": false}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := Release{Name: "rel", Namespace: "space", KubeVersion: "v1.34.1-eks-1"}
			want := map[string]string{}
			for file, text := range byHelm(t, tree, tc.values, r) {
				if strings.TrimSpace(text) != "" && !strings.HasSuffix(file, "NOTES.txt") {
					want[file] = text
				}
			}
			rendered, err := loaded(t, tree).Render(t.Context(), tc.values, r)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, d := range rendered.Documents {
				got[d.File] = d.Text
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-Helm +here):\n%s", tc.reason, diff)
			}
			if len(rendered.Definitions) != 1 || !strings.Contains(rendered.Definitions[0].Text, "{{ not a template }}") {
				t.Errorf("definitions are no templates: got %v", rendered.Definitions)
			}
		})
	}
}

// TestRealChartsAreTheSameAsHelm does it with charts of others, where a folder has some.
func TestRealChartsAreTheSameAsHelm(t *testing.T) {
	for folder := range strings.SplitSeq(os.Getenv("SLIPWAY_TEST_CHARTS"), ":") {
		if folder == "" {
			continue
		}
		t.Run(folder, func(t *testing.T) {
			r := Release{Name: "rel", Namespace: "space", KubeVersion: "v1.36.2"}
			want := byHelm(t, os.DirFS(folder), nil, r)
			rendered, err := loaded(t, os.DirFS(folder)).Render(t.Context(), nil, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range rendered.Documents {
				if diff := cmp.Diff(want[d.File], d.Text); diff != "" && d.Random == "" {
					t.Errorf("%s (-Helm +here):\n%s", d.File, diff)
				}
			}
		})
	}
}

// one is a chart of one template.
func one(template string, more ...string) fs.FS {
	tree := fstest.MapFS{
		"Chart.yaml":       {Data: []byte("apiVersion: v2\nname: one\nversion: 1.0.0\n")},
		"templates/a.yaml": {Data: []byte(template)},
	}
	for i := 0; i+1 < len(more); i += 2 {
		tree[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return tree
}

func TestHostileTemplatesEnd(t *testing.T) {
	cases := map[string]struct {
		reason, template, want string
	}{
		"Loop":       {reason: "a loop in a loop in a loop", template: `{{ range until 10000 }}{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}{{ end }}`, want: "endless loop"},
		"IntLoop":    {reason: "a loop over a number", template: `{{ range 1000000000000 }}{{ end }}`, want: "endless loop"},
		"Include":    {reason: "an endless recursion", template: `{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, want: "recursion"},
		"Template":   {reason: "the same without a function", template: `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, want: "recursion"},
		"Tpl":        {reason: "the same with text", template: `{{ tpl "{{ tpl .Values.t . }}" (dict "Values" (dict "t" "{{ tpl .Values.t . }}") "Template" .Template) }}`, want: "recursion"},
		"Repeat":     {reason: "much out of little", template: `{{ repeat 1000000000 "a" }}`, want: "more than"},
		"Replace":    {reason: "much out of little", template: `{{ $a := repeat 1000000 "a" }}{{ replace "a" $a $a }}`, want: "more than"},
		"Until":      {reason: "a list that fills the memory", template: `{{ until 1000000000 }}`, want: "more than"},
		"Seq":        {reason: "the same as text", template: `{{ seq 1000000000 }}`, want: "more than"},
		"Indent":     {reason: "much out of little", template: `{{ indent 100000000 "a\nb" }}`, want: "more than"},
		"Doubling":   {reason: "a text that doubles each time", template: `{{ $x := "aaaaaaaa" }}{{ range until 60 }}{{ $x = printf "%s%s" $x $x }}{{ end }}`, want: "more than"},
		"Tables":     {reason: "tables in tables, twice each", template: `{{ $x := dict "a" 1 }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ toYaml $x }}`, want: "more than"},
		"Printed":    {reason: "the same, printed", template: `{{ $x := dict "a" 1 }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ $x }}`, want: "more than"},
		"Output":     {reason: "more output than fits", template: `{{ $x := repeat 1000000 "a" }}{{ range until 10000 }}{{ $x }}{{ end }}`, want: "bytes"},
		"Env":        {reason: "the agent's environment isn't the chart's business", template: `{{ env "HOME" }}`, want: "env"},
		"Fail":       {reason: "the chart says so", template: "a: b\n{{ fail \"set a name\" }}", want: "templates/a.yaml:2: set a name"},
		"Required":   {reason: "the chart says so, in a template of a template", template: `{{ define "a" }}{{ required "set a name" .Values.name }}{{ end }}{{ include "a" . }}`, want: "set a name"},
		"Parse":      {reason: "no template", template: "{{ if }}", want: "templates/a.yaml:1"},
		"NoTemplate": {reason: "includes what isn't there", template: `{{ include "nope" . }}`, want: "nope"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			chart := loaded(t, one(c.template))
			chart.steps = 50_000 // as many as there may be take seconds
			_, err := chart.Render(t.Context(), nil, Release{Name: "a"})
			var bad *Error
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %.300v, want an *Error with %q", c.reason, err, c.want)
			}
		})
	}
}

func TestWhatIsMadeUpIsTold(t *testing.T) {
	cases := map[string]struct{ reason, template, want string }{
		"Text":      {reason: "random text", template: `a: {{ randAlphaNum 8 }}`, want: "randAlphaNum"},
		"Included":  {reason: "in a template of a template", template: `{{ define "x" }}{{ randInt 1 9 }}{{ end }}a: {{ include "x" . }}`, want: "randInt"},
		"Hidden":    {reason: "however it is written", template: `a: {{ htpasswd "a" "b" | sha256sum }}`, want: "htpasswd"},
		"NotCalled": {reason: "what isn't called does no harm", template: `a: {{ if .Values.none }}{{ genCA "a" 365 }}{{ end }}b`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rendered, err := loaded(t, one(c.template, "templates/b.yaml", "b: c")).Render(t.Context(), nil, Release{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range rendered.Documents {
				want := c.want
				if strings.HasSuffix(d.File, "b.yaml") {
					want = ""
				}
				if d.Random != want {
					t.Errorf("%s: %s has called %q, want %q", c.reason, d.File, d.Random, want)
				}
			}
		})
	}
}

func TestRenderingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := loaded(t, one(`{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}`)).Render(ctx, nil, Release{})
	var bad *Error
	if !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
}

func TestTimeIsGiven(t *testing.T) {
	now := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	rendered, err := loaded(t, one(`a: {{ now | date "2006-01-02" }} {{ date "15:04" "x" }} {{ htmlDate now }} {{ ago now }}`)).Render(t.Context(), nil, Release{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if got := rendered.Documents[0].Text; got != "a: 2026-11-01 10:00 2026-11-01 0s" {
		t.Errorf("got %q: the time is what the package says, not the clock's", got)
	}
}

func TestBadChartsAreRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		tree   fs.FS
		want   string
	}{
		"NoChart":    {reason: "no Chart.yaml", tree: fstest.MapFS{"templates/a.yaml": {}}, want: "Chart.yaml"},
		"Library":    {reason: "a library has nothing to install", tree: one("", "Chart.yaml", "apiVersion: v2\nname: one\nversion: 1.0.0\ntype: library\n"), want: "library"},
		"NewAPI":     {reason: "a form that isn't known", tree: one("", "Chart.yaml", "apiVersion: v7\nname: one\nversion: 1.0.0\n"), want: "v7"},
		"Kubernetes": {reason: "another Kubernetes", tree: one("a: b", "Chart.yaml", "apiVersion: v2\nname: one\nversion: 1.0.0\nkubeVersion: '>=1.90'\n"), want: ">=1.90"},
		"Subchart":   {reason: "a subchart that isn't there", tree: one("a: b", "Chart.yaml", "apiVersion: v2\nname: one\nversion: 1.0.0\ndependencies: [{name: web, version: '1', repository: ''}]\n"), want: "web isn't in charts/"},
		"Packed":     {reason: "a packed chart that nobody unpacked", tree: one("a: b", "charts/web.tgz", "x"), want: "unpacked"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			loaded, err := Load(filesIn(t, c.tree))
			if err == nil {
				_, err = loaded.Render(t.Context(), nil, Release{KubeVersion: "v1.36.0"})
			}
			var bad *Error
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want an *Error with %q", c.reason, err, c.want)
			}
		})
	}
}

func FuzzRender(f *testing.F) {
	for _, template := range []string{
		`a: {{ .Values.a | quote }}`, `{{ range .Values.l }}{{ . }}{{ break }}{{ end }}`, `{{ define "x" }}{{ . }}{{ end }}{{ template "x" 1 }}`,
		`{{ tpl "{{ .Values.a }}" . }}`, `{{ with $x := .Values }}{{ $x.a }}{{ else with .Chart }}{{ .Name }}{{ end }}`, `{{ toYaml . }}`, `{{ .Files.Glob "**" }}`,
		`{{ slipwayStep }}{{ slipwayShow 1 2 }}`, `{{ include "templates/a.yaml" . }}`,
	} {
		f.Add(template, "a: 1\nl: [1, 2]\n", "a")
	}
	f.Fuzz(func(t *testing.T, template, values, value string) {
		tree := one(template, "values.yaml", values)
		c, err := Load(filesIn(t, tree))
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		first, err := c.Render(ctx, map[string]any{"a": value}, Release{Name: "a", Namespace: "b"})
		if err != nil {
			return
		}
		for _, d := range first.Documents {
			if d.Random != "" {
				return
			}
		}
		again, err := loaded(t, tree).Render(ctx, map[string]any{"a": value}, Release{Name: "a", Namespace: "b"})
		if err != nil {
			if ctx.Err() == nil {
				t.Fatalf("it rendered the first time: %v", err)
			}
			return
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("another outcome the second time:\n%s", diff)
		}
	})
}
