package crd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// codes returns the codes that judgement.go declares.
func codes(t *testing.T) map[Code]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "judgement.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[Code]bool{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if name, ok := v.Type.(*ast.Ident); ok && name.Name == "Code" {
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[Code(text)] = true
			}
		}
	}
	return found
}

func TestEachCodeIsJudged(t *testing.T) {
	declared, table := codes(t), judgements()
	for code := range declared {
		j, ok := table[code]
		if !ok || j.forward.severity == "" && j.backward.severity == "" {
			t.Errorf("%s is judged in no direction", code)
		}
		if j.forward.severity == Irreversible || j.backward.severity == Unsafe {
			t.Errorf("%s: forward it can't be irreversible, backward it can't be unsafe", code)
		}
		for _, s := range []side{j.forward, j.backward} {
			if (s.severity == "") != (s.message == "") {
				t.Errorf("%s: a severity needs a sentence, and the other way round", code)
			}
		}
	}
	if len(table) != len(declared) {
		t.Errorf("%d codes, %d judgements", len(declared), len(table))
	}
}

// The page for people says the same as the table.
func TestPageHasAllFindings(t *testing.T) {
	text, err := os.ReadFile("../../../docs/modules-crds.md")
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[Code][2]string{}, map[Code][2]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		got[Code(strings.Trim(cells[1], " `"))] = [2]string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
	}
	name := func(s side) string {
		if s.severity == "" {
			return "–"
		}
		return string(s.severity)
	}
	for code, j := range judgements() {
		want[code] = [2]string{name(j.forward), name(j.backward)}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/modules-crds.md (-table +page):\n%s", diff)
	}
}
