package wanted

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Version is one of those that a source has.
type Version struct {
	// Version as the source writes it, such as 1.4.2 or v1.4.2. What is no version with three numbers is left out of the choice.
	Version string
	// Digest of the package, where it is known.
	Digest v1alpha1.Digest
	// Published is when, as the package says. Zero: not known, as it wasn't fetched yet. Then the version is taken to be old enough; whoever
	// fetches it fills this in and asks again.
	Published time.Time
}

// Question is what a choice depends on.
type Question struct {
	// Range is spec.version. Empty: every release.
	Range string
	// Catalogued is what the catalogue says. Empty: the module follows none.
	Catalogued string
	// Available are the versions that the source has, in any order.
	Available []Version
	// Unlisted says that the source can't tell which versions it has: a web server. Then the range, or the catalogue, names one.
	Unlisted bool
	// Current is what is installed. Nil: nothing.
	Current *v1alpha1.RevisionReference
	// Upgrade is spec.upgrade. Nil: all defaults.
	Upgrade *v1alpha1.Upgrade
	// Now is the time.
	Now time.Time
}

// Choice is the answer: a version, or a problem.
type Choice struct {
	// Version as the source writes it, or as it is installed. Empty: there is a problem.
	Version string
	// Digest of the package, where Available has it.
	Digest v1alpha1.Digest
	// Back says that it is older than what is installed. Only a person's word leads there: the range, or the catalogue.
	Back bool
	// Why this one, for people.
	Why string
	// Problem is why there is none, with what to do. Asking again without a change gives the same.
	Problem string
}

// candidate is a version that there is.
type candidate struct {
	Version

	parsed *semver.Version
}

// Choose says which version is wanted. Whether it may be installed now is another question: see [May].
func Choose(q Question) Choice {
	among, err := ParseRange(q.Range)
	if err != nil {
		return Choice{Problem: "spec.version " + err.Error()}
	}
	if problems := CheckWindows(q.Upgrade); len(problems) > 0 {
		return Choice{Problem: problems[0]}
	}
	c := &chooser{Question: q, among: among, candidates: candidatesOf(q.Available)}
	if q.Current != nil {
		c.installed, _ = parse(q.Current.Version) // what isn't a version is older than any
	}
	switch {
	case q.Current != nil && q.Upgrade != nil && q.Upgrade.Policy == v1alpha1.UpgradeNever:
		return c.stays("spec.upgrade.policy is Never")
	case q.Catalogued != "":
		return c.catalogued()
	case q.Unlisted:
		return c.named()
	}
	return c.newest()
}

// candidatesOf leaves out what is no version, and sorts the newest first. Of what is the same version the one that is written without "v"
// comes first.
func candidatesOf(available []Version) []candidate {
	var all []candidate
	for _, v := range available {
		if parsed, err := parse(v.Version); err == nil {
			all = append(all, candidate{v, parsed})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(b.parsed.Compare(a.parsed), cmp.Compare(b.parsed.Metadata(), a.parsed.Metadata()), cmp.Compare(a.Version.Version, b.Version.Version))
	})
	return all
}

// chooser answers one question.
type chooser struct {
	Question

	among      Range
	candidates []candidate     // the newest first
	installed  *semver.Version // nil: nothing, or no version
}

// stays is the choice of what is installed.
func (c *chooser) stays(format string, args ...any) Choice {
	return Choice{Version: c.Current.Version, Why: c.Current.Version + " stays: " + fmt.Sprintf(format, args...)}
}

// takes is the choice of another version, or of the installed one, under the name that the source has for it.
func (c *chooser) takes(v candidate, format string, args ...any) Choice {
	choice := Choice{Version: v.Version.Version, Digest: v.Digest, Why: fmt.Sprintf(format, args...)}
	if c.installed != nil && v.parsed.LessThan(c.installed) {
		choice.Back = true
		choice.Why += fmt.Sprintf("; that is older than %s, which is installed", c.Current.Version)
	}
	return choice
}

// find returns the candidate of a version: of several that are the same the installed one, else the first.
func (c *chooser) find(v *semver.Version) (candidate, bool) {
	same := func(o candidate) bool { return o.parsed.Equal(v) }
	if c.Current != nil {
		if n := slices.IndexFunc(c.candidates, func(o candidate) bool { return same(o) && o.Version.Version == c.Current.Version }); n >= 0 {
			return c.candidates[n], true
		}
	}
	if n := slices.IndexFunc(c.candidates, same); n >= 0 {
		return c.candidates[n], true
	}
	return candidate{}, false
}

func (c *chooser) isInstalled(v *semver.Version) bool {
	return c.installed != nil && c.installed.Equal(v)
}

// catalogued takes what the catalogue says, if the range has it.
func (c *chooser) catalogued() Choice {
	says := shortened(c.Catalogued)
	v, err := parse(c.Catalogued)
	if err != nil {
		return Choice{Problem: fmt.Sprintf("the catalogue says %q: %s. Correct the catalogue, and put the version into quotes", says, err)}
	}
	if c.Range != "" && !c.among.has(v) {
		hint := "widen spec.version, or correct the catalogue"
		if v.Prerelease() != "" {
			hint = "it comes before a release, and is taken only where spec.version names such a version; " + hint
		}
		return Choice{Problem: fmt.Sprintf("the catalogue says %s, which isn't in spec.version %q: %s", says, shortened(c.Range), hint)}
	}
	if c.Unlisted {
		return c.takes(candidate{Version{Version: c.Catalogued}, v}, "the catalogue says %s", says)
	}
	if found, ok := c.find(v); ok {
		return c.takes(found, "the catalogue says %s", says)
	}
	if c.isInstalled(v) {
		return c.stays("the catalogue says so, though the source doesn't list it any more")
	}
	return Choice{Problem: fmt.Sprintf("the catalogue says %s, which the source doesn't have: publish it, or correct the catalogue", says)}
}

// named takes the version that the range is, where nobody can say which there are.
func (c *chooser) named() Choice {
	if c.among.exact == nil {
		return Choice{Problem: fmt.Sprintf("spec.version %q is a range, and this source has no list of versions: name one, such as 1.4.2", shortened(c.Range))}
	}
	return c.takes(candidate{Version{Version: c.among.text}, c.among.exact}, "spec.version names it")
}

// newest takes the newest version in the range that is old enough; if there is none that is newer than the installed one, the newest, which
// then waits for its age. What is installed and in the range is never gone back from: that a source doesn't list it any more is no wish.
func (c *chooser) newest() Choice {
	in := slices.DeleteFunc(slices.Clone(c.candidates), func(v candidate) bool { return !c.among.has(v.parsed) })
	keeps := c.installed != nil && c.among.has(c.installed)
	if keeps {
		in = slices.DeleteFunc(in, func(v candidate) bool { return !v.parsed.GreaterThan(c.installed) })
	}
	if len(in) == 0 {
		return c.nothingNewer(keeps)
	}
	minAge := minAgeOf(c.Upgrade)
	for _, v := range in {
		if v.Published.IsZero() || !v.Published.Add(minAge).After(c.Now) {
			if v.parsed.Equal(in[0].parsed) {
				return c.takes(c.called(v), "it is the newest in %s", c.words())
			}
			return c.takes(c.called(v), "it is the newest in %s that is at least %s old; %s isn't yet", c.words(), Duration(minAge), in[0].Version.Version)
		}
	}
	return c.takes(c.called(in[0]), "it is the newest in %s", c.words())
}

// called gives a candidate its best name.
func (c *chooser) called(v candidate) candidate {
	if found, ok := c.find(v.parsed); ok && found.parsed.Metadata() == v.parsed.Metadata() {
		return found
	}
	return v
}

func (c *chooser) words() string {
	if c.Range == "" {
		return "the source"
	}
	return fmt.Sprintf("spec.version %q", c.Range)
}

// nothingNewer is when the source has nothing in the range, or nothing that is newer than what is installed.
func (c *chooser) nothingNewer(keeps bool) Choice {
	if keeps {
		if found, ok := c.find(c.installed); ok {
			return c.takes(found, "it is the newest in %s", c.words())
		}
		return c.stays("the source doesn't list it any more, and has nothing newer in %s", c.words())
	}
	if len(c.candidates) == 0 {
		problem := "the source has no version: publish one"
		if n := len(c.Available); n > 0 {
			problem = fmt.Sprintf("none of the %d tags of the source is a version with three numbers, such as 1.4.2 or v1.4.2: publish one", n)
		}
		return Choice{Problem: problem}
	}
	newest := c.candidates[0]
	if c.Range == "" {
		return Choice{Problem: fmt.Sprintf("the source has only versions that come before a release, the newest is %s: name it in spec.version, or a range such as %q",
			newest.Version.Version, ">="+release(newest.parsed)+"-0")}
	}
	problem := fmt.Sprintf("none of the %d versions of the source is in spec.version %q; the newest is %s: correct spec.version, or publish one in it",
		len(c.candidates), shortened(c.Range), newest.Version.Version)
	if before := c.before(); before != "" {
		problem += fmt.Sprintf(". %s comes before a release, and is taken only where the range names such a version", before)
	}
	return Choice{Problem: problem}
}

// before is the newest that would be in the range if it were a release.
func (c *chooser) before() string {
	for _, v := range c.candidates {
		if v.parsed.Prerelease() == "" {
			continue
		}
		if r, err := parse(release(v.parsed)); err == nil && c.among.has(r) {
			return v.Version.Version
		}
	}
	return ""
}

// release is the version without what comes before it.
func release(v *semver.Version) string {
	return fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch())
}

func minAgeOf(u *v1alpha1.Upgrade) time.Duration {
	if u == nil || u.MinAge == nil {
		return 0
	}
	return u.MinAge.Duration
}

// Duration writes a duration without zeros that say nothing: 24h, not 24h0m0s.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
