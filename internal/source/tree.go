package source

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// kind is what a node is. The values are part of the manifest's format and of
// the hashes.
type kind string

const (
	kindDir  kind = "d"
	kindFile kind = "f"
	kindExec kind = "x" // a file with the executable bit
	kindLink kind = "l"
)

type hash [sha256.Size]byte

// entry is one file or link of a tree, as the manifest lists it.
type entry struct {
	path   string
	kind   kind
	size   int64
	sum    hash          // of the content; of the target for a link
	git    plumbing.Hash // the blob it came from
	target string        // where a link leads
	origin string        // what the server that it came from calls the content; empty for Git
}

// node is an entry in its place, or a directory.
type node struct {
	entry
	name     string
	children []*node // sorted by name
	linked   bool    // a link is in this subtree
}

// newTree builds the directories above entries and hashes them. Entries must
// have valid, distinct paths, none below a file.
func newTree(entries []entry) (*node, error) {
	root := &node{entry: entry{path: ".", kind: kindDir}, name: "."}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	for _, e := range entries {
		if !fs.ValidPath(e.path) || e.path == "." {
			return nil, fmt.Errorf("path %q is not valid", e.path)
		}
		if err := root.insert(e); err != nil {
			return nil, err
		}
	}
	root.seal()
	return root, nil
}

func (n *node) insert(e entry) error {
	at := n
	parts := strings.Split(e.path, "/")
	for i, name := range parts {
		// Entries come sorted, so what is already there was added last or
		// stands before a sibling such as "a-b" of the directory "a".
		child := at.find(name)
		last := i == len(parts)-1
		switch {
		case child != nil && (last || child.kind != kindDir):
			return fmt.Errorf("path %q is there twice", e.path)
		case child == nil && last:
			child = &node{entry: e, name: name}
		case child == nil:
			child = &node{entry: entry{path: strings.Join(parts[:i+1], "/"), kind: kindDir}, name: name}
		default:
			at = child
			continue
		}
		i, _ := at.index(name)
		at.children = slices.Insert(at.children, i, child)
		at = child
	}
	return nil
}

func (n *node) index(name string) (int, bool) {
	return slices.BinarySearchFunc(n.children, name, func(c *node, s string) int { return cmp.Compare(c.name, s) })
}

func (n *node) find(name string) *node {
	if i, ok := n.index(name); ok {
		return n.children[i]
	}
	return nil
}

// seal computes the hashes of directories: over kind, name and hash of each
// child, each length-prefixed.
func (n *node) seal() {
	if n.kind != kindDir {
		n.linked = n.kind == kindLink
		return
	}
	h := sha256.New()
	for _, c := range n.children {
		c.seal()
		n.linked = n.linked || c.linked
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(c.name)))
		h.Write([]byte(c.kind))
		h.Write(size[:])
		h.Write([]byte(c.name))
		h.Write(c.sum[:])
	}
	h.Sum(n.sum[:0])
}

// walk calls visit for every file and link below n, in the order of their paths
// as directories are listed.
func (n *node) walk(visit func(*node) error) error {
	if n.kind != kindDir {
		return visit(n)
	}
	for _, c := range n.children {
		if err := c.walk(visit); err != nil {
			return err
		}
	}
	return nil
}

// maxHops is how many links one path may lead through; Linux allows as many.
const maxHops = 40

var errTooManyLinks = errors.New("too many levels of symbolic links")

// resolve finds a path below the root n. Links on the way are followed within
// the tree; the last one only if followLast.
func (n *node) resolve(name string, followLast bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	above, rest, hops := []*node{n}, strings.Split(name, "/"), 0
	for len(rest) > 0 {
		at, part := above[len(above)-1], rest[0]
		rest = rest[1:]
		switch {
		case at.kind != kindDir:
			return nil, fs.ErrNotExist
		case part == "" || part == ".":
			continue
		case part == "..":
			if len(above) == 1 {
				return nil, ErrEscapes
			}
			above = above[:len(above)-1]
			continue
		}
		child := at.find(part)
		if child == nil {
			return nil, fs.ErrNotExist
		}
		if child.kind != kindLink || (len(rest) == 0 && !followLast) {
			above = append(above, child)
			continue
		}
		if hops++; hops > maxHops {
			return nil, errTooManyLinks
		}
		if path.IsAbs(child.target) {
			return nil, ErrEscapes
		}
		rest = append(strings.Split(child.target, "/"), rest...)
	}
	return above[len(above)-1], nil
}

// contentHash is the hash of what a reader can find at and below n. A link
// counts with what it leads to, wherever in the tree that is.
func (n *node) contentHash(root *node) hash {
	if !n.linked {
		return n.sum
	}
	reached := map[string]hash{}
	todo := []*node{n}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if _, done := reached[next.path]; done {
			continue
		}
		reached[next.path] = next.sum
		if !next.linked {
			continue
		}
		_ = next.walk(func(l *node) error { // The visitor never fails.
			if l.kind != kindLink {
				return nil
			}
			if to, err := root.resolve(l.path, true); err == nil {
				todo = append(todo, to)
			}
			return nil
		})
	}
	paths := make([]string, 0, len(reached))
	for p := range reached {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	h := sha256.New()
	for _, p := range paths {
		sum := reached[p]
		fmt.Fprintf(h, "%d %s %x\n", len(p), p, sum)
	}
	return hash(h.Sum(nil))
}

// linkSum is the hash of a link itself.
func linkSum(target string) hash { return sha256.Sum256([]byte("link " + target)) }
