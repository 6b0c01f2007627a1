package source

import (
	"cmp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// defaultBranch is what Flux takes when spec.ref says nothing.
const defaultBranch = "master"

// advertised is what a server shows to one set of credentials.
type advertised struct {
	refs   map[string]plumbing.Hash
	peeled map[string]plumbing.Hash // annotated tags: what they stand for
	caps   *capability.List         // nil for a local repository
}

// shows reports whether a commit is the tip of something that is advertised.
func (a *advertised) shows(h plumbing.Hash) bool {
	for _, refs := range []map[string]plumbing.Hash{a.refs, a.peeled} {
		for _, tip := range refs {
			if tip == h {
				return true
			}
		}
	}
	return false
}

func (a *advertised) can(c capability.Capability) bool { return a.caps != nil && a.caps.Supports(c) }

// target is what a selector means on one server at one moment.
type target struct {
	// want is the object to ask the server for: a commit, or an annotated tag.
	want plumbing.Hash
	// commit is zero when want must be peeled to find it.
	commit plumbing.Hash
	// label goes before @sha1:… in the revision; empty for a bare commit.
	label string
	// pinned: want was given by hash, so it needs not be advertised.
	pinned bool
}

// revision is Flux's format of RFC-0005.
func (t target) revision(commit plumbing.Hash) string {
	if t.label == "" {
		return "sha1:" + commit.String()
	}
	return t.label + "@sha1:" + commit.String()
}

// selector is a checked spec.ref. The precedence is Flux's: commit, name,
// semver, tag, branch.
type selector struct {
	commit     plumbing.Hash
	branch     string
	tag        string
	name       string
	expression string
	constraint *semver.Constraints
}

func newSelector(ref *sourcev1.GitRepositoryRef) (selector, error) {
	if ref == nil {
		return selector{branch: defaultBranch}, nil
	}
	switch {
	case ref.Commit != "":
		if !plumbing.IsHash(ref.Commit) || len(ref.Commit) != 40 {
			return selector{}, failf(ReasonReferenceInvalid, "spec.ref.commit: %q is not a full commit hash: write all 40 hexadecimal digits", ref.Commit)
		}
		return selector{commit: plumbing.NewHash(ref.Commit), branch: ref.Branch}, nil
	case ref.Name != "":
		if ref.Name != "HEAD" && !strings.HasPrefix(ref.Name, "refs/") {
			return selector{}, failf(ReasonReferenceInvalid, "spec.ref.name: %q is not a full reference: write refs/heads/BRANCH, refs/tags/TAG, refs/pull/N/head or the like", ref.Name)
		}
		return selector{name: ref.Name}, nil
	case ref.SemVer != "":
		c, err := semver.NewConstraint(ref.SemVer)
		if err != nil {
			return selector{}, failf(ReasonReferenceInvalid, "spec.ref.semver: %q is not a version range: write for example \">=1.2.0 <2.0.0\" or \"1.x\"", ref.SemVer)
		}
		return selector{expression: ref.SemVer, constraint: c}, nil
	case ref.Tag != "":
		return selector{tag: ref.Tag}, nil
	}
	return selector{branch: cmp.Or(ref.Branch, defaultBranch)}, nil
}

// key tells selectors apart.
func (s selector) key() string {
	return strings.Join([]string{s.commit.String(), s.branch, s.tag, s.name, s.expression}, "\x00")
}

// resolve looks the selector up in what the server shows.
func (s selector) resolve(adv *advertised, rem *remote) (target, error) {
	switch {
	case !s.commit.IsZero():
		return target{want: s.commit, commit: s.commit, label: s.branch, pinned: true}, nil
	case s.name != "":
		return adv.lookup(s.name, s.name, rem)
	case s.constraint != nil:
		tag, err := s.latest(adv, rem)
		if err != nil {
			return target{}, err
		}
		return adv.lookup(tagPrefix+tag, tag, rem)
	case s.tag != "":
		return adv.lookup(tagPrefix+s.tag, s.tag, rem)
	}
	return adv.lookup("refs/heads/"+s.branch, s.branch, rem)
}

func (a *advertised) lookup(ref, label string, rem *remote) (target, error) {
	tip, ok := a.refs[ref]
	if !ok {
		return target{}, failf(ReasonGitOperationFailed, "%w: %s has no %s%s: push it, or change spec.ref; what was fetched before stays in use", ErrRevisionNotFound, rem, ref, a.hint(ref))
	}
	t := target{want: tip, label: label}
	switch peeled, annotated := a.peeled[ref]; {
	case annotated:
		t.commit = peeled
	case strings.HasPrefix(ref, "refs/heads/"):
		t.commit = tip
	}
	return t, nil
}

// hint spares a walk to the documentation when spec.ref was forgotten.
func (a *advertised) hint(ref string) string {
	if ref != "refs/heads/"+defaultBranch {
		return ""
	}
	if _, ok := a.refs["refs/heads/main"]; !ok {
		return ""
	}
	return " (but a branch main: set spec.ref.branch)"
}

// latest picks the highest version among the tags that the range allows. Tags
// may start with a v. Of two spellings of one version the later one in the
// alphabet wins, so that the choice never depends on the server's order.
func (s selector) latest(adv *advertised, rem *remote) (string, error) {
	type candidate struct {
		tag     string
		version *semver.Version
	}
	var all []candidate
	for ref := range adv.refs {
		tag, ok := strings.CutPrefix(ref, tagPrefix)
		if !ok {
			continue
		}
		v, err := semver.NewVersion(tag)
		if err == nil && s.constraint.Check(v) {
			all = append(all, candidate{tag, v})
		}
	}
	if len(all) == 0 {
		return "", failf(ReasonGitOperationFailed, "%w: no tag of %s is in the range %q of spec.ref.semver: push one, or widen the range", ErrRevisionNotFound, rem, s.expression)
	}
	best := slices.MaxFunc(all, func(a, b candidate) int {
		return cmp.Or(a.version.Compare(b.version), cmp.Compare(a.tag, b.tag))
	})
	return best.tag, nil
}
