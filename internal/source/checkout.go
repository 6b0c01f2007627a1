package source

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// checkout takes a commit's tree out of a mirror into the store.
type checkout struct {
	objects *objects
	store   *Store
	limits  Limits
	// known maps blobs that are in the store already to their entries.
	known map[plumbing.Hash]entry
	// sparse is what is taken; nothing: all of it.
	sparse sparse
	// modules are the submodules by their paths; nil: they are left out.
	modules map[string]*objects
	// includes are put into the tree, below what was ignored there.
	includes []Include

	rules  ignoreRules
	listed []listed
}

// listed is a file or link that was seen, before the rules.
type listed struct {
	parts []string
	mode  uint32
	blob  plumbing.Hash
	// from has the blob, if it is of a submodule.
	from *objects
	// stored is set for what was included: it is in the store already.
	stored *entry
}

const (
	modeType    = 0o170000
	modeDir     = 0o040000
	modeFile    = 0o100000
	modeLink    = 0o120000
	modeGitlink = 0o160000
	ignoreFile  = ".sourceignore"
)

// run returns the tree of a commit. Nothing is written before all limits hold.
func (c *checkout) run(ctx context.Context, tree plumbing.Hash, ignore *string) (*node, error) {
	if err := c.list(ctx, nil, tree, nil); err != nil {
		return nil, err
	}
	if err := c.sparse.complete(); err != nil {
		return nil, err
	}
	if err := c.include(); err != nil {
		return nil, err
	}
	if ignore != nil {
		if err := c.rules.add([]byte(*ignore), nil, "spec.ignore"); err != nil {
			return nil, err
		}
	}
	kept, err := c.filter(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := c.measure(ctx, kept)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.store.fill(&entries[i], kept[i].objects(c)); err != nil {
			return nil, err
		}
		if kept[i].from != nil {
			// The next checkout may be somebody's who can't see the submodule: it must not take this blob for known.
			entries[i].git = plumbing.ZeroHash
		}
	}
	root, err := newTree(entries)
	if err != nil && len(c.includes) > 0 {
		return nil, failf(ReasonIncludeCopy, "spec.include puts files where there are some already: %w: choose another toPath", err)
	}
	if err != nil {
		return nil, failf(ReasonGitOperationFailed, "the tree is malformed: %w: run git fsck and push a repaired commit", err)
	}
	return root, nil
}

// list walks all directories, the ignored ones as well: a rule may take a file
// in again that lies below an ignored directory.
// from has the objects of a submodule, nil stands for the repository itself.
func (c *checkout) list(ctx context.Context, from *objects, tree plumbing.Hash, dir []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(dir) >= c.limits.MaxDepth {
		return &LimitError{Limit: "MaxDepth", Value: int64(c.limits.MaxDepth), Got: int64(len(dir) + 1), What: "the depth of " + shorten(strings.Join(dir, "/")), Advice: "flatten the directories, or raise the limit on the agent"}
	}
	raw, err := listed{from: from}.objects(c).typed(plumbing.TreeObject, tree)
	if err != nil {
		return err
	}
	first := len(c.listed)
	for len(raw) > 0 {
		var item listed
		if item, raw, err = nextTreeEntry(raw, dir); err != nil {
			return err
		}
		item.from = from
		if err := c.add(item); err != nil {
			return err
		}
	}
	// Before the directories below: their rules come later, so they count more.
	here := c.listed[first:]
	for _, item := range here {
		if item.is(modeFile) && item.parts[len(dir)] == ignoreFile {
			if err := c.readRules(item); err != nil {
				return err
			}
		}
	}
	for _, item := range here {
		switch {
		case item.is(modeDir):
			err = c.list(ctx, item.from, item.blob, item.parts)
		case item.is(modeGitlink):
			err = c.listModule(ctx, item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listModule goes on in a submodule as if it were a directory.
func (c *checkout) listModule(ctx context.Context, item listed) error {
	from := c.modules[strings.Join(item.parts, "/")]
	commit, err := from.commit(item.blob)
	if err != nil {
		return err
	}
	return c.list(ctx, from, commit.TreeHash, item.parts)
}

func (l listed) is(mode uint32) bool { return l.mode&modeType == mode }

// objects is where the item's blob is.
func (l listed) objects(c *checkout) *objects {
	if l.from != nil {
		return l.from
	}
	return c.objects
}

func (c *checkout) add(item listed) error {
	switch item.mode & modeType {
	case modeGitlink:
		if c.modules == nil || !c.sparse.leadsTo(item.parts) {
			return nil // A submodule is an empty directory for those who don't fetch it.
		}
		if name := strings.Join(item.parts, "/"); c.modules[name] == nil {
			return failf(ReasonGitOperationFailed, "the submodule %s has no entry in .gitmodules: add it there (git submodule add), or remove it (git rm)", shorten(name))
		}
		c.listed = append(c.listed, item)
		return c.checkCount()
	case modeDir, modeFile, modeLink:
		if item.is(modeDir) && !c.sparse.leadsTo(item.parts) || !item.is(modeDir) && !c.sparse.has(item.parts) {
			return nil
		}
		c.listed = append(c.listed, item)
		return c.checkCount()
	}
	return failf(ReasonGitOperationFailed, "the tree is malformed: %q has the mode %o: run git fsck and push a repaired commit", strings.Join(item.parts, "/"), item.mode)
}

func (c *checkout) checkCount() error {
	if most := c.limits.MaxFiles * entriesPerFile; len(c.listed) > most {
		return &LimitError{Limit: "MaxFiles*10", Value: int64(most), What: "the number of files and directories, the ignored ones included,", Advice: "split the repository, or raise the limit on the agent"}
	}
	return nil
}

func (c *checkout) readRules(item listed) error {
	where := strings.Join(item.parts, "/")
	size, err := item.objects(c).size(item.blob)
	if err != nil {
		return err
	}
	if size > maxIgnoreFileBytes {
		return &LimitError{Limit: "ignore rules", Value: maxIgnoreFileBytes, Got: size, What: where, Advice: "use fewer, wider patterns"}
	}
	text, err := item.objects(c).typed(plumbing.BlobObject, item.blob)
	if err != nil {
		return err
	}
	return c.rules.add(text, item.parts[:len(item.parts)-1], where)
}

// nextTreeEntry reads "MODE NAME\0HASH" off a tree object.
func nextTreeEntry(raw []byte, dir []string) (listed, []byte, error) {
	malformed := func(what string) (listed, []byte, error) {
		return listed{}, nil, failf(ReasonGitOperationFailed, "the tree is malformed: %s in %q: run git fsck and push a repaired commit", what, strings.Join(dir, "/"))
	}
	head, rest, ok := bytes.Cut(raw, []byte{0})
	mode, name, spaced := bytes.Cut(head, []byte(" "))
	if !ok || !spaced || len(rest) < len(plumbing.ZeroHash) {
		return malformed("a cut-off entry")
	}
	bits, err := strconv.ParseUint(string(mode), 8, 32)
	if err != nil {
		return malformed("an entry without a mode")
	}
	switch n := string(name); {
	case n == "" || n == "." || n == ".." || strings.Contains(n, "/") || strings.EqualFold(n, ".git"):
		return malformed(fmt.Sprintf("an entry named %q", n))
	case len(n) > 255:
		return malformed("an entry with a name of more than 255 bytes")
	}
	item := listed{mode: uint32(bits), parts: append(dir[:len(dir):len(dir)], string(name))}
	n := copy(item.blob[:], rest)
	return item, rest[n:], nil
}

// filter applies the ignore rules and checks what is left.
func (c *checkout) filter(ctx context.Context) ([]listed, error) {
	matcher := c.rules.matcher()
	var kept []listed
	for i, item := range c.listed {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if item.is(modeDir) || item.is(modeGitlink) || matcher.Match(item.parts, false) {
			continue
		}
		if name := strings.Join(item.parts, "/"); !fs.ValidPath(name) {
			return nil, failf(ReasonGitOperationFailed, "the file name %q is not UTF-8: rename it, or leave it out with spec.ignore", name)
		}
		kept = append(kept, item)
		if len(kept) > c.limits.MaxFiles {
			return nil, &LimitError{Limit: "MaxFiles", Value: int64(c.limits.MaxFiles), What: "the number of files", Advice: adviceIgnore}
		}
	}
	return kept, nil
}

// measure looks sizes up, which needs no unpacking.
func (c *checkout) measure(ctx context.Context, kept []listed) ([]entry, error) {
	entries := make([]entry, 0, len(kept))
	var total int64
	for _, item := range kept {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := c.entry(item)
		if err != nil {
			return nil, err
		}
		if total += e.size; total > c.limits.MaxTreeBytes {
			return nil, &LimitError{Limit: "MaxTreeBytes", Value: c.limits.MaxTreeBytes, What: "the sum of all files", Advice: adviceIgnore}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (c *checkout) entry(item listed) (entry, error) {
	if item.stored != nil {
		return *item.stored, nil
	}
	e := entry{path: strings.Join(item.parts, "/"), git: item.blob, kind: kindFile}
	limit, name := c.limits.MaxFileBytes, "MaxFileBytes"
	switch {
	case item.is(modeLink):
		e.kind, limit, name = kindLink, maxLinkBytes, "link target"
	case item.mode&0o111 != 0:
		e.kind = kindExec
	}
	// A blob that is the same file and link in one must be read for both.
	if old, ok := c.known[item.blob]; ok && item.from == nil && e.kind != kindLink && c.store.hasBlob(old.sum, old.size) {
		e.sum, e.size = old.sum, old.size
	} else {
		size, err := item.objects(c).size(item.blob)
		if err != nil {
			return e, err
		}
		e.size = size
	}
	if e.size > limit {
		return e, &LimitError{Limit: name, Value: limit, Got: e.size, What: shorten(e.path), Advice: adviceIgnore}
	}
	return e, nil
}

// fill reads what an entry still lacks and writes its blob.
func (s *Store) fill(e *entry, from *objects) error {
	if e.sum != (hash{}) {
		return nil
	}
	content, err := from.typed(plumbing.BlobObject, e.git)
	if err != nil {
		return err
	}
	if e.kind == kindLink {
		e.target, e.size = string(content), 0
		e.sum = linkSum(e.target)
		return nil
	}
	e.size = int64(len(content))
	e.sum, err = s.writeBlob(content)
	return err
}

func shorten(p string) string {
	if len(p) > 200 {
		p = p[:100] + "…" + p[len(p)-97:]
	}
	return strconv.Quote(strings.ToValidUTF8(p, "?"))
}
