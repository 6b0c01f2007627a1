package source

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// rulesVersion changes when the same commit and the same spec.ignore would give
// another tree than before.
const rulesVersion = "1"

// rulesKey identifies the ignore rules, nil included.
func rulesKey(ignore *string) string {
	text := ""
	if ignore != nil {
		text = *ignore
	}
	sum := sha256.Sum256([]byte(rulesVersion + "\x00" + text))
	return hex.EncodeToString(sum[:16])
}

// rulesKey identifies everything but the commit that decides what is kept.
func (f *fetch) rulesKey() string {
	h := sha256.New()
	part := func(name, text string) { fmt.Fprintf(h, "%s %d %s\n", name, len(text), text) }
	part("ignore", rulesKey(f.ignore))
	part("sparse", f.sparse.key())
	if f.recurse {
		part("submodules", "")
	}
	for _, inc := range f.includes {
		part("include", inc.key())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ignoreRules collects patterns the way Flux does: those of every .sourceignore
// file, each for its own directory, then spec.ignore. If there are any, they
// replace the defaults (images, archives, CI files); Git's own files never pass.
type ignoreRules struct {
	patterns []gitignore.Pattern
}

// add reads the rules in text for the directory dir; nil is the root. where
// names their place for a message.
func (r *ignoreRules) add(text []byte, dir []string, where string) error {
	if len(text) > maxIgnoreFileBytes {
		return &LimitError{Limit: "ignore rules", Value: maxIgnoreFileBytes, Got: int64(len(text)), What: where, Advice: "use fewer, wider patterns"}
	}
	n, err := countPatterns(text)
	if err != nil {
		return failf(ReasonContentInvalid, "%s has a line that is too long to be a pattern: break it up: %w", where, err)
	}
	if len(r.patterns)+n > maxIgnorePatterns {
		return &LimitError{Limit: "ignore patterns", Value: maxIgnorePatterns, Got: int64(len(r.patterns) + n), What: where, Advice: "use fewer, wider patterns"}
	}
	r.patterns = append(r.patterns, sourceignore.ReadPatterns(bytes.NewReader(text), dir)...)
	return nil
}

func countPatterns(text []byte) (n int, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if l := strings.TrimSpace(lines.Text()); l != "" && l[0] != '#' {
			n++
		}
	}
	return n, lines.Err()
}

// matcher returns the rules in force.
func (r *ignoreRules) matcher() gitignore.Matcher {
	if len(r.patterns) == 0 {
		return sourceignore.NewDefaultMatcher(nil, nil)
	}
	return sourceignore.NewMatcher(append(sourceignore.VCSPatterns(nil), r.patterns...))
}
