package interpret

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// ReadyMade is an interpreter that comes with Slipway.
type ReadyMade struct {
	// Name of it.
	Name string
	// Target is what the name of its file says: it is not read before an object of that kind comes.
	Target Target

	files fs.FS
	file  string
}

// any stands in a file's name for all kinds, or for all groups that end with the rest.
const anyWord = "any"

// FromFiles gives the interpreters in a folder. Each file is called by its kind and group, such as Certificate.cert-manager.io.yaml;
// any.any.upbound.io.yaml is for all kinds of all groups that end with .upbound.io.
func FromFiles(files fs.FS) ([]ReadyMade, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list interpreters: %w", err)
	}
	var all []ReadyMade
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		kind, group, _ := strings.Cut(name, ".")
		if kind == anyWord {
			kind = "*"
		}
		if rest, ok := strings.CutPrefix(group, anyWord+"."); ok {
			group = "*." + rest
		}
		all = append(all, ReadyMade{Name: name, Target: Target{Group: group, Kind: kind}, files: files, file: file})
	}
	return all, nil
}

// Definition reads the file.
func (r ReadyMade) Definition() (Definition, error) {
	content, err := fs.ReadFile(r.files, r.file)
	if err != nil {
		return Definition{}, err
	}
	_, d, err := Read(content)
	if err != nil {
		return Definition{}, fmt.Errorf("%s: %w", r.file, err)
	}
	return d, nil
}

// judges says whether the file has rules for health.
func (r ReadyMade) judges() bool {
	d, err := r.Definition()
	return err == nil && len(d.Health) > 0
}

// compiled reads and compiles the file. A test proves that this does not fail; if it does all the same, the interpreter says nothing, and what
// is built in decides.
func (r ReadyMade) compiled() *Interpreter {
	d, err := r.Definition()
	if err != nil {
		return &Interpreter{target: r.Target}
	}
	i, err := Compile(d)
	if err != nil {
		return &Interpreter{target: r.Target}
	}
	return i
}
