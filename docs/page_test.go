package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is what a Markdown page says in tables whose last column is "test".
type page struct {
	// fields are paths such as spec.include[].fromPath, from tables whose first column is "field". Below "## Spec" and "## Status" they
	// are written without that first part.
	fields []string
	rows   []row
}

// row is a line of a table: what it is about, and the tests that it names.
type row struct {
	about string
	tests []string
}

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	test   = regexp.MustCompile("`(Test[^`]+|Fuzz[^`]+)`")
)

func readPage(text string) page {
	var (
		p       page
		prefix  string
		columns []string
	)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			prefix = map[string]string{"Spec": "spec.", "Status": "status."}[title]
		}
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		cells := cellsOf(line)
		if columns == nil {
			columns = cells
			continue
		}
		if columns[len(columns)-1] != "test" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		r := row{about: cells[0]}
		for _, m := range test.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			r.tests = append(r.tests, m[1])
		}
		p.rows = append(p.rows, r)
		if columns[0] == "field" {
			for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
				p.fields = append(p.fields, prefix+m[1])
			}
		}
	}
	return p
}

// cellsOf splits a line of a table; \| is no border.
func cellsOf(line string) []string {
	const border = "\x00"
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, border)
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], border, `\|`))
	}
	return cells
}

// check returns what a page lacks of a kind, and what it says that isn't so.
func check(text string, spec, status reflect.Type, known tests) (complaints []string) {
	p := readPage(text)
	w := &walk{page: p, seen: map[reflect.Type]bool{}, all: map[string]bool{}}
	w.fields("spec", spec)
	w.fields("status", status)
	for _, path := range w.missing {
		complaints = append(complaints, path+": no row")
	}
	for _, path := range p.fields {
		if !w.all[path] {
			complaints = append(complaints, path+": not a field")
		}
	}
	for _, r := range p.rows {
		if len(r.tests) == 0 {
			complaints = append(complaints, r.about+": names no test")
		}
		for _, name := range r.tests {
			if wrong := known.wrong(name); wrong != "" {
				complaints = append(complaints, r.about+": "+wrong)
			}
		}
	}
	return complaints
}

// walk goes through a Go type the way its JSON is written.
type walk struct {
	page    page
	seen    map[reflect.Type]bool // types of which each field has a row already
	all     map[string]bool
	missing []string
}

func (w *walk) fields(path string, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			w.fields(path, f.Type)
		case f.IsExported():
			w.value(path+"."+name, f.Type)
		}
	}
}

func (w *walk) value(path string, t reflect.Type) {
	w.all[path] = true
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			path += "[]"
			w.all[path] = true
		}
		t = t.Elem()
	}
	has := slices.Contains(w.page.fields, path) || slices.Contains(w.page.fields, strings.TrimSuffix(path, "[]"))
	if t.Kind() != reflect.Struct || strings.Contains(t.PkgPath(), "k8s.io/") {
		if !has { // What the Kubernetes libraries define is known: durations, conditions, times, JSON.
			w.missing = append(w.missing, path)
		}
		return
	}
	if has && w.seen[t] {
		for _, inner := range (&walk{page: w.page, seen: map[reflect.Type]bool{}, all: map[string]bool{}}).names(path, t) {
			w.all[inner] = true
		}
		return
	}
	w.seen[t] = true
	w.fields(path, t)
}

// names lists all fields below path.
func (w *walk) names(path string, t reflect.Type) (out []string) {
	w.fields(path, t)
	for name := range w.all {
		out = append(out, name)
	}
	return out
}

// tests are the tests of the repository by name, with the text of the files that hold them.
type tests map[string]string

func (ts tests) wrong(name string) string {
	function, sub, _ := strings.Cut(name, "/")
	text, ok := ts[function]
	switch {
	case !ok:
		return "there is no " + function
	case sub != "" && !strings.Contains(text, fmt.Sprintf("%q", sub)):
		return function + " has no case " + sub
	}
	return ""
}

var declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

func testsOf(t *testing.T, root string) tests {
	t.Helper()
	found := tests{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			found[string(m[1])] += string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
