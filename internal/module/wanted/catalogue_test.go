package wanted_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/module/wanted"
)

const head = "apiVersion: slipway.dev/v1alpha1\nkind: Catalogue\n"

func TestCatalogue(t *testing.T) {
	c, err := wanted.ParseCatalogue([]byte(head + `
modules:
  cert-manager: {stable: 1.18.2, fast: v1.19.0-rc.1}
  runner:
    stable: "1.4.2"
    fast: 1.10
    none: null
    list: [1.4.2]
    word: latest
`))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		module, channel, want string
		ok                    bool
	}{
		"There":     {"cert-manager", "stable", "1.18.2", true},
		"Before":    {"cert-manager", "fast", "v1.19.0-rc.1", true},
		"NoModule":  {"flagger", "stable", "", false},
		"NoChannel": {"runner", "slow", "", false},
		"Number":    {"runner", "fast", "1.1", true}, // and no version: Choose says so
	}
	for name, tc := range cases {
		if got, ok := c.Version(tc.module, tc.channel); got != tc.want || ok != tc.ok {
			t.Errorf("%s: got %q, %t", name, got, ok)
		}
	}
	var problems []string
	for _, p := range c.Problems() {
		problems = append(problems, strings.SplitN(p, ":", 2)[0])
	}
	want := []string{`modules.runner.fast is "1.1"`, `modules.runner.list is "[\"1.4.2\"]"`, `modules.runner.none is "null"`, `modules.runner.word is "latest"`}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("what is wrong must be told, each with its place (-want +got):\n%s", diff)
	}
	if got := c.Missing("runner", "slow"); !strings.Contains(got, "no channel slow") || !strings.Contains(got, "fast, list") {
		t.Errorf("got %q", got)
	}
	if got := c.Missing("flagger", "stable"); !strings.Contains(got, "doesn't have module flagger") {
		t.Errorf("got %q", got)
	}
}

func TestCatalogueThatIsNone(t *testing.T) {
	many := func(n int, line func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	cases := map[string]struct{ reason, text, part string }{
		"Empty":      {"nothing at all", "", `kind: Catalogue`},
		"OtherKind":  {"another kind of file", "apiVersion: slipway.dev/v1alpha1\nkind: Package\n", `"Package"`},
		"OtherGroup": {"another version of the format", "apiVersion: slipway.dev/v9\nkind: Catalogue\n", "slipway.dev/v9"},
		"Field":      {"a field that it doesn't have: a typing error", head + "module: {}\n", `"module"`},
		"Twice":      {"a module twice: one would be lost", head + "modules:\n  a: {stable: 1.0.0}\n  a: {stable: 2.0.0}\n", `already`},
		"ChannelTwo": {"a channel twice", head + "modules:\n  a: {stable: 1.0.0, stable: 2.0.0}\n", `already`},
		"Shape":      {"a module that has no channels", head + "modules: {a: 1.0.0}\n", "no catalogue"},
		"Documents":  {"a second document would be passed over in silence", head + "modules: {}\n---\n" + head, "several documents"},
		"NoYAML":     {"what is no YAML", "\tx: [", "no YAML"},
		"Large":      {"more than a ConfigMap has room for", head + "# " + strings.Repeat("x", wanted.MaxCatalogue), "split it"},
		"Modules":    {"too many modules", head + "modules:\n" + many(10_001, func(n int) string { return fmt.Sprintf("  m%d: {stable: 1.0.0}\n", n) }), "10001 modules"},
		"Channels":   {"too many channels", head + "modules:\n  a:\n" + many(65, func(n int) string { return fmt.Sprintf("    c%d: 1.0.0\n", n) }), "65 channels"},
		"LongName":   {"a name that no Module has", head + "modules: {" + strings.Repeat("a", 64) + ": {stable: 1.0.0}}\n", "no name of a module"},
		"NoName":     {"an empty channel", head + `modules: {a: {"": 1.0.0}}` + "\n", "no name of a channel"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, err := wanted.ParseCatalogue([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.part)
			}
			if _, ok := c.Version("a", "stable"); ok {
				t.Errorf("%s: it says something all the same", tc.reason)
			}
		})
	}
	for name, text := range map[string]string{
		"Comments": "# comment\n---\n# more\n" + head + "# end\n",
		"JSON":     `{"apiVersion":"slipway.dev/v1alpha1","kind":"Catalogue","modules":{"a":{"stable":"1.0.0"}}}`,
		"End":      "---\n" + head + "...\n",
	} {
		if _, err := wanted.ParseCatalogue([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCatalogueOfThePage reads the example that the page shows.
func TestCatalogueOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/upgrades.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```yaml\napiVersion: slipway.dev/v1alpha1\nkind: Catalogue\n")
	example, _, _ := strings.Cut(rest, "```")
	c, err := wanted.ParseCatalogue([]byte(head + example))
	if !found || err != nil {
		t.Fatalf("the page has an example: %v", err)
	}
	if problems := c.Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	if version, ok := c.Version("runner", "stable"); !ok || version == "" {
		t.Error("the example has the module of the page")
	}
}

func FuzzCatalogue(f *testing.F) {
	for _, seed := range []string{
		"", head, head + "modules:\n  a: {stable: 1.0.0}\n", head + "modules: {a: {b: 1.10, c: null, d: [x], e: \"1.0.0\"}}\n",
		"a: &a [*a]\n", "---\n---\n", head + "modules: &m {a: &c {b: 1.0.0}, d: *c}\n", "{}", "\xff\xfe", head + "modules: {a: {b: 2026-11-21}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := wanted.ParseCatalogue(content)
		if err != nil {
			if c != nil {
				t.Error("a catalogue with an error")
			}
			return
		}
		for _, p := range c.Problems() {
			if len(p) > 4096 {
				t.Errorf("a message of %d bytes", len(p))
			}
		}
		if version, ok := c.Version("a", "stable"); ok {
			got := wanted.Choose(wanted.Question{Catalogued: version, Available: has("1.0.0"), Now: now})
			if got.Version != "" && got.Version != "1.0.0" {
				t.Errorf("chose %q", got.Version)
			}
		}
	})
}
