package gitserver

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	committerName  = "Slipway Lab"
	committerEmail = "lab@slipway.dev"
)

// Change is one commit: what it does to the tree of the branch it goes on.
type Change struct {
	// Branch takes the commit; it is created when absent. Default: main.
	Branch string
	// From is the branch or commit a new branch starts at. Default: an empty
	// history. It is ignored when Branch exists.
	From string
	// Message is the commit message.
	Message string
	// Fresh starts from an empty tree instead of the branch's.
	Fresh bool
	// Remove are files and folders to delete, before anything is written.
	Remove []string
	// Files are written, path → content.
	Files map[string]string
	// Symlinks are written, path → target.
	Symlinks map[string]string
	// Submodules are written, path → commit of another repository. Where that is, .gitmodules says: write it with Files.
	Submodules map[string]string
}

// Apply commits a change and returns the commit. A change that leaves the tree
// as it was makes a commit too. It fails when somebody else pushed to the
// branch in between.
func (r *Repo) Apply(ctx context.Context, c Change) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Branch = cmp.Or(c.Branch, DefaultBranch)
	parent, err := r.Head(ctx, c.Branch)
	if err != nil && c.From != "" {
		if parent, err = r.run(ctx, nil, "rev-parse", "--verify", c.From+"^{commit}"); err != nil {
			return "", fmt.Errorf("find %s to branch from: %w", c.From, err)
		}
	}
	sha, err := r.run(ctx, c.stream(parent), "fast-import", "--quiet", "--date-format=now", "--done")
	if err != nil {
		return "", fmt.Errorf("commit %q: %w", c.Message, err)
	}
	return sha, nil
}

// check refuses paths that fast-import's language has no plain word for.
func (c Change) check() error {
	for _, paths := range [][]string{c.Remove, slices.Collect(maps.Keys(c.Files)), slices.Collect(maps.Keys(c.Symlinks)), slices.Collect(maps.Keys(c.Submodules))} {
		for _, path := range paths {
			if path == "" || path[0] == '"' || path[0] == '/' || strings.Contains(path, "\n") {
				return fmt.Errorf("path %q: use a path inside the repository, without quotes and line breaks", path)
			}
		}
	}
	return nil
}

// stream is the change in the language of git fast-import, which prints the
// commit's name in the end. parent is empty for a first commit.
func (c Change) stream(parent string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "commit refs/heads/%s\nmark :1\ncommitter %s <%s> now\n", c.Branch, committerName, committerEmail)
	writeData(&b, c.Message)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	if c.Fresh {
		b.WriteString("deleteall\n")
	}
	for _, path := range c.Remove {
		fmt.Fprintf(&b, "D %s\n", path)
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		fmt.Fprintf(&b, "M 100644 inline %s\n", path)
		writeData(&b, c.Files[path])
	}
	for _, path := range slices.Sorted(maps.Keys(c.Symlinks)) {
		fmt.Fprintf(&b, "M 120000 inline %s\n", path)
		writeData(&b, c.Symlinks[path])
	}
	for _, path := range slices.Sorted(maps.Keys(c.Submodules)) {
		fmt.Fprintf(&b, "M 160000 %s %s\n", c.Submodules[path], path)
	}
	b.WriteString("\nget-mark :1\ndone\n")
	return b.Bytes()
}

func writeData(b *bytes.Buffer, data string) {
	fmt.Fprintf(b, "data %d\n%s\n", len(data), data)
}
