package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/slipway-dev/slipway/internal/build/mask"
)

// mount is where a view shows the tree to Kustomize. It is not the root, so that a
// path that climbs out of the tree can be told from one that stays inside.
const mount = "/source"

// maxLinks is how many symbolic links a path may go through, as on Linux.
const maxLinks = 40

// view is one build's window on a tree: it resolves paths inside it, hands out files,
// remembers everything that was looked at, and refuses what a build may not do. It
// belongs to one build and is not safe for concurrent use.
type view struct {
	ctx    context.Context // kept here: Kustomize's file system interface has no room for it
	tree   Tree
	files  fs.FS
	limits Limits

	seen     map[string]*entry // by path without links
	contents map[string][]byte // files read
	overlay  map[string][]byte // files that take the place of the tree's

	manifests []string // files named as resources, in order: where to look when a build fails
	secrets   []string // values that error texts must not show

	decryption *decryption
	decrypted  mask.Mask // what the objects have from encrypted files

	inputBytes        int64
	kustomizations    int
	objectCount       int // that Kustomize will have got
	entries           int
	schemaIsOurs      bool   // openapi in a kustomization is welcome
	lastKustomization string // for messages
	failure           error  // the first refusal; Kustomize hides or dresses up what it is told
}

func newView(ctx context.Context, tree Tree, limits Limits) *view {
	return &view{
		ctx: ctx, tree: tree, files: tree.FS(), limits: limits,
		seen:     map[string]*entry{".": {kind: kindDir}},
		contents: map[string][]byte{},
		overlay:  map[string][]byte{},
	}
}

// fail keeps the first refusal and returns err.
func (v *view) fail(err error) error {
	if v.failure == nil {
		v.failure = err
	}
	return err
}

// lstat looks at one path whose parents are folders without links.
func (v *view) lstat(name string) (*entry, error) {
	if e, ok := v.seen[name]; ok {
		return e, nil
	}
	info, err := fs.Lstat(v.files, name)
	e := &entry{}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.kind = kindAbsent
	case err != nil:
		return nil, v.fail(fmt.Errorf("look at %s: %w", name, err))
	case info.IsDir():
		e.kind = kindDir
	case info.Mode()&fs.ModeSymlink != 0:
		e.kind = kindLink
		if e.target, err = fs.ReadLink(v.files, name); err != nil {
			return nil, v.fail(fmt.Errorf("read link %s: %w", name, err))
		}
	case info.Mode().IsRegular():
		e.kind, e.size = kindFile, info.Size()
	default:
		e.kind = kindOther
	}
	v.seen[name] = e
	return e, nil
}

// resolve follows links and gives the path without them. When nothing is there, it
// gives the path at which the way ends, and an entry of kind absent.
func (v *view) resolve(name string) (string, *entry, error) {
	cur, pending, links := ".", strings.Split(name, "/"), 0
	for len(pending) > 0 {
		part := pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if cur == "." {
				return "", nil, v.fail(v.escapes(name))
			}
			cur = path.Dir(cur)
			continue
		}
		next := path.Join(cur, part)
		e, err := v.lstat(next)
		if err != nil {
			return "", nil, err
		}
		switch {
		case e.kind == kindLink:
			if links++; links > maxLinks {
				return "", nil, v.fail(&Error{
					Reason: ReasonBuildFailed, File: name,
					Message: "too many symbolic links, or links in a circle; replace them by what they point to",
				})
			}
			if path.IsAbs(e.target) {
				return "", nil, v.fail(v.escapes(next))
			}
			pending = append(strings.Split(e.target, "/"), pending...)
		case e.kind == kindDir:
			cur = next
		case len(pending) > 0: // a file in the middle of a path, or nothing at all
			return next, &entry{kind: kindAbsent}, nil
		default:
			return next, e, nil
		}
	}
	return cur, v.seen[cur], nil
}

// read gives a file's content by its path without links.
func (v *view) read(name string, e *entry) ([]byte, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, v.fail(fmt.Errorf("build: %w", err))
	}
	content, ok := v.contents[name]
	if !ok {
		if e.size > v.limits.FileBytes {
			return nil, v.fail(tooLarge(name, "the file has %d bytes; a manifest may have %d. Move it out of the path that is built, "+
				"or exclude it from the source", e.size, v.limits.FileBytes))
		}
		var err error
		if content, err = fs.ReadFile(v.files, name); err != nil {
			return nil, v.fail(fmt.Errorf("read %s: %w", name, err))
		}
		hash, ok := v.tree.Hash(name)
		if !ok {
			hash = contentHash("file", content)
		}
		e.hash, e.read = hash, true
		v.contents[name] = content
		if err := v.checkShape(name, content); err != nil {
			return nil, v.fail(err)
		}
	}
	if v.inputBytes += int64(len(content)); v.inputBytes > v.limits.InputBytes {
		return nil, v.fail(tooLarge("", "the build reads more than %d bytes; split it into several Kustomizations", v.limits.InputBytes))
	}
	return content, nil
}

func (v *view) escapes(name string) error {
	return &Error{
		Reason: ReasonBuildFailed, File: name,
		Message: "leads out of the source (by \"..\" or a symbolic link); a build may only read what is inside it: copy the files in",
	}
}

// enter finds the folder to build.
func (v *view) enter(name string) (string, error) {
	clean := path.Clean("./" + strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", &Error{Reason: ReasonInvalidPath, Message: fmt.Sprintf("path %q leads out of the source; "+
			"it counts from the source's root: set spec.path to a folder inside it", name)}
	}
	dir, e, err := v.resolve(clean)
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) {
			refused.Reason = ReasonInvalidPath
		}
		return "", err
	}
	switch e.kind {
	case kindDir:
		return dir, nil
	case kindAbsent:
		return "", &Error{Reason: ReasonInvalidPath, Message: fmt.Sprintf("path %q does not exist in the source; "+
			"set spec.path to a folder in it%s", name, v.nearby(dir))}
	default:
		return "", &Error{Reason: ReasonInvalidPath, Message: fmt.Sprintf("path %q is a file; "+
			"set spec.path to the folder that holds it", name)}
	}
}

// nearby names the folders that are there instead of an absent one.
func (v *view) nearby(absent string) string {
	parent := path.Dir(absent)
	entries, err := fs.ReadDir(v.files, parent)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if names = append(names, e.Name()); len(names) > 8 {
			names[8] = "…"
			break
		}
	}
	if len(names) == 0 {
		return ""
	}
	where := "its root"
	if parent != "." {
		where = parent
	}
	return fmt.Sprintf(" (folders in %s: %s)", where, strings.Join(names, ", "))
}
