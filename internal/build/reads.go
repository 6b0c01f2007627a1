package build

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

type kind string

const (
	kindAbsent kind = "absent"
	kindFile   kind = "file"
	kindDir    kind = "dir"
	kindLink   kind = "link"
	kindOther  kind = "other" // a device, a socket
)

// entry is what a build knows of one path.
type entry struct {
	kind   kind
	target string // of a link
	size   int64  // of a file
	read   bool   // the content of the file matters
	hash   string // of that content
	listed bool   // the content of the folder matters
	list   string // its entries that matter
}

// Reads is what a build looked at: files read, folders listed, links followed, and
// paths of which only mattered what they were, or that they were not there. It does
// not change, and is safe for concurrent use. The zero value is for a build that
// looked at nothing.
type Reads struct {
	entries map[string]entry
	base    string // everything that matters is in or below it
	hash    string // of base, if the tree had one
}

func (v *view) reads() Reads {
	r := Reads{entries: make(map[string]entry, len(v.seen))}
	for name, e := range v.seen {
		r.entries[name] = *e
	}
	r.base = commonFolder(r.entries)
	r.hash, _ = v.tree.Hash(r.base)
	return r
}

// commonFolder is the deepest folder that holds all entries but those folders that
// were merely passed through.
func commonFolder(entries map[string]entry) string {
	common, first := ".", true
	for name, e := range entries {
		dir := path.Dir(name)
		if e.kind == kindDir {
			if !e.listed {
				continue
			}
			dir = name
		}
		if first {
			common, first = dir, false
		}
		for !isBelow(dir, common) {
			common = path.Dir(common)
		}
	}
	return common
}

func isBelow(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// Paths lists what was looked at, sorted; what was absent is in it, too.
func (r Reads) Paths() []string { return slices.Sorted(maps.Keys(r.entries)) }

// Same says whether a build with the same path, spec and variables on tree would see
// the same, and so give the same objects or fail in the same way. It reads no file:
// one lookup when nothing at all has changed below the folder that holds what was
// read, else one per path.
func (r Reads) Same(tree Tree) bool {
	files := tree.FS()
	if r.sameBase(tree, files) {
		return true
	}
	for name, e := range r.entries {
		if !e.same(tree, files, name) {
			return false
		}
	}
	return true
}

// sameBase says whether nothing below base has changed. A hash may count a link with
// what it leads to; folders and links on the way matter by themselves, since what is
// found there names other files relative to where it is.
func (r Reads) sameBase(tree Tree, files fs.FS) bool {
	if r.hash == "" {
		return false
	}
	if h, ok := tree.Hash(r.base); !ok || h != r.hash {
		return false
	}
	for name, e := range r.entries {
		if (e.kind == kindDir || e.kind == kindLink) && !e.samePlace(files, name) {
			return false
		}
	}
	return true
}

// samePlace says whether a folder or link is still what it was.
func (e entry) samePlace(files fs.FS, name string) bool {
	info, err := fs.Lstat(files, name)
	if err != nil {
		return false
	}
	if e.kind == kindDir {
		return info.IsDir()
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	target, err := fs.ReadLink(files, name)
	return err == nil && target == e.target
}

func (e entry) same(tree Tree, files fs.FS, name string) bool {
	info, err := fs.Lstat(files, name)
	if err != nil {
		return e.kind == kindAbsent && errors.Is(err, fs.ErrNotExist)
	}
	switch e.kind {
	case kindDir, kindLink:
		return e.samePlace(files, name) && (!e.listed || sameListing(files, name, e.list))
	case kindFile:
		return info.Mode().IsRegular() && (!e.read || sameContent(tree, files, name, e.hash))
	case kindOther:
		return !info.IsDir() && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0
	default:
		return false
	}
}

func sameContent(tree Tree, files fs.FS, name, hash string) bool {
	if h, ok := tree.Hash(name); ok {
		return h == hash
	}
	content, err := fs.ReadFile(files, name)
	return err == nil && contentHash("file", content) == hash
}

func sameListing(files fs.FS, name, list string) bool {
	entries, err := fs.ReadDir(files, name)
	return err == nil && listing(entries) == list
}
