package source

import (
	"path"
	"strings"
)

// Include is one of spec.include with the snapshot that it means at this moment.
type Include struct {
	// Name is the other repository's, for messages.
	Name string
	// From is what is taken of the snapshot, a directory or a file; empty: all of it.
	From string
	// To is where it is put; empty: at the root.
	To string
	// Snapshot is what the other repository has.
	Snapshot *Snapshot
}

// checkIncludes cleans the paths.
func checkIncludes(includes []Include) ([]Include, error) {
	var out []Include
	for _, inc := range includes {
		var err error
		if inc.From, err = insidePath(inc.From); err != nil {
			return nil, failf(ReasonPathInvalid, "spec.include of %s: fromPath %s leads out of the repository: write a path in it", inc.Name, shorten(inc.From))
		}
		if inc.To, err = insidePath(inc.To); err != nil {
			return nil, failf(ReasonPathInvalid, "spec.include of %s: toPath %s leads out of the repository: write a path in it", inc.Name, shorten(inc.To))
		}
		out = append(out, inc)
	}
	return out, nil
}

func (i Include) key() string {
	return strings.Join([]string{i.Snapshot.Digest(), i.From, i.To}, "\x00")
}

// include lists what is included as if it were in the commit. Rules hold for it as well, but the .sourceignore files in it don't: they
// did their work where it comes from.
func (c *checkout) include() error {
	for _, inc := range c.includes {
		from, err := inc.Snapshot.tree.root.resolve(inc.From, true)
		if err != nil {
			return failf(ReasonIncludeCopy, "spec.include of %s: %s has no %s: correct fromPath", inc.Name, inc.Snapshot.Revision(), shorten(inc.From))
		}
		if from.kind != kindDir && inc.To == "." {
			inc.To = from.name
		}
		err = from.walk(func(n *node) error {
			rel := strings.TrimPrefix(strings.TrimPrefix(n.path, from.path), "/")
			if from.path == "." {
				rel = n.path
			}
			e := n.entry
			e.path, e.origin = path.Join(inc.To, rel), ""
			e.git = [20]byte{} // It counts as known where it comes from, not here.
			item := listed{parts: strings.Split(e.path, "/"), mode: modeFile, stored: &e}
			if len(item.parts) > c.limits.MaxDepth {
				return &LimitError{Limit: "MaxDepth", Value: int64(c.limits.MaxDepth), Got: int64(len(item.parts)), What: "the depth of " + shorten(e.path), Advice: "choose a shorter toPath, or raise the limit on the agent"}
			}
			c.listed = append(c.listed, item)
			return c.checkCount()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
