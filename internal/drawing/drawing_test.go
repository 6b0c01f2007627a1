package drawing_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/drawing"
)

func all() map[string]func() string {
	return map[string]func() string{"one": func() string { return "1\n" }, "two": func() string { return "2\n" }}
}

func TestEmbed(t *testing.T) {
	page := "# A\n<!-- s: one -->\nold\n<!-- s end -->\ntext\n<!-- s: two -->\n<!-- s end -->\n<!-- t: one -->\nother\n<!-- t end -->\n"
	want := "# A\n<!-- s: one -->\n1\n<!-- s end -->\ntext\n<!-- s: two -->\n2\n<!-- s end -->\n<!-- t: one -->\nother\n<!-- t end -->\n"
	got, err := drawing.Embed(page, "s", all())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := drawing.Embed(got, "s", all()); err != nil || again != got {
		t.Errorf("drawn twice it is another one: %v", err)
	}
}

func TestEmbedWithoutAPlace(t *testing.T) {
	for name, page := range map[string]string{
		"None":    "# A\n",
		"Endless": "<!-- s: one -->\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := drawing.Embed(page, "s", all()); !errors.Is(err, drawing.ErrNoPlace) {
				t.Errorf("got %v, want ErrNoPlace", err)
			}
		})
	}
}

func TestEdges(t *testing.T) {
	var e drawing.Edges
	e.Draw("B", "C", "x")
	e.Draw("A", "B", "y")
	e.Draw("B", "C", "z")
	e.Draw("B", "C", "x")
	var got []string
	e.All(func(_, _, line string) { got = append(got, line) })
	if diff := cmp.Diff([]string{"B --> C: x<br/>z", "A --> B: y"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := drawing.Code([]string{"a", "b"}); got != "`a`, `b`" {
		t.Errorf("got %s", got)
	}
}
