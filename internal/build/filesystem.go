package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var _ filesys.FileSystem = (*view)(nil)

var errReadOnly = errors.New("the source is read-only")

// absolute gives a path of the tree as Kustomize sees it.
func absolute(name string) string { return path.Join(mount, name) }

// relative is the reverse. False: the path is not inside the tree.
func relative(name string) (string, bool) {
	name = path.Clean(name)
	if name == mount {
		return ".", true
	}
	return strings.CutPrefix(name, mount+"/")
}

// locate resolves a path that Kustomize uses.
func (v *view) locate(name string) (string, *entry, error) {
	rel, ok := relative(name)
	if !ok {
		return "", nil, v.fail(v.escapes(v.asWritten(name)))
	}
	if _, ok := v.overlay[rel]; ok {
		return rel, &entry{kind: kindFile}, nil
	}
	return v.resolve(rel)
}

// asWritten gives a path outside of the tree in the way that it was probably written.
func (v *view) asWritten(name string) string {
	rel, err := filepath.Rel(mount, path.Clean(name))
	if err != nil {
		return name
	}
	return rel
}

// ReadFile gives a file's content, and checks kustomization files before Kustomize
// sees them.
func (v *view) ReadFile(name string) ([]byte, error) {
	if v.failure != nil {
		return nil, v.failure
	}
	actual, e, err := v.locate(name)
	if err != nil {
		return nil, err
	}
	content, overlaid := v.overlay[actual]
	if !overlaid {
		if e.kind != kindFile {
			return nil, &fs.PathError{Op: "open", Path: v.asWritten(name), Err: notAFile(e)}
		}
		if content, err = v.read(actual, e); err != nil {
			return nil, err
		}
		if v.decryption != nil && v.decryption.plain[actual] != nil {
			content = v.decryption.plain[actual]
		}
	}
	if isKustomizationFile(path.Base(name)) {
		// relative to the folder in which it is found, also when it is a link
		dir, _ := relative(path.Dir(name))
		if err := v.visit(actual, dir, content); err != nil {
			return nil, v.fail(err)
		}
	}
	return content, nil
}

func notAFile(e *entry) error {
	if e.kind == kindAbsent {
		return fs.ErrNotExist
	}
	return errors.New("not a file")
}

func isKustomizationFile(base string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), base)
}

// CleanedAbs gives the folder and file of a path, without links.
func (v *view) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	actual, e, err := v.locate(name)
	if err != nil {
		return "", "", err
	}
	switch e.kind {
	case kindDir:
		return filesys.ConfirmedDir(absolute(actual)), "", nil
	case kindFile:
		return filesys.ConfirmedDir(absolute(path.Dir(actual))), path.Base(actual), nil
	default:
		return "", "", fmt.Errorf("%s: %w", v.asWritten(name), fs.ErrNotExist)
	}
}

// IsDir says whether there is a folder.
func (v *view) IsDir(name string) bool {
	_, e, err := v.locate(name)
	return err == nil && e.kind == kindDir
}

// Exists says whether there is anything.
func (v *view) Exists(name string) bool {
	_, e, err := v.locate(name)
	return err == nil && e.kind != kindAbsent
}

// The rest of filesys.FileSystem is not used by a build: nothing is written, and
// nothing is listed other than by scan, which records what it saw.

// Open is refused; files are read whole.
func (v *view) Open(string) (filesys.File, error) { return nil, errors.ErrUnsupported }

// ReadDir is refused.
func (v *view) ReadDir(string) ([]string, error) { return nil, errors.ErrUnsupported }

// Glob is refused.
func (v *view) Glob(string) ([]string, error) { return nil, errors.ErrUnsupported }

// Walk is refused.
func (v *view) Walk(string, filepath.WalkFunc) error { return errors.ErrUnsupported }

// Create is refused.
func (v *view) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir is refused.
func (v *view) Mkdir(string) error { return errReadOnly }

// MkdirAll is refused.
func (v *view) MkdirAll(string) error { return errReadOnly }

// RemoveAll is refused.
func (v *view) RemoveAll(string) error { return errReadOnly }

// WriteFile is refused.
func (v *view) WriteFile(string, []byte) error { return errReadOnly }
