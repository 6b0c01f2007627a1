package wanted

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxVersion is the length of the longest version that is read, in bytes: as long as a Module's may be.
const maxVersion = 256

// parse reads a version as Semantic Versioning 2.0.0 has it, with all three numbers, and with or without a "v" before it. "1.4" and "1" are
// no versions: registries use such tags for whatever is the newest at the moment.
func parse(text string) (*semver.Version, error) {
	if len(text) > maxVersion {
		return nil, fmt.Errorf("it has %d characters, and at most %d are allowed", len(text), maxVersion)
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return nil, fmt.Errorf("it is no version with three numbers, such as 1.4.2")
	}
	return v, nil
}

// IsVersion tells whether a text is a version, with all three numbers, and with or without a "v" before it.
func IsVersion(text string) bool {
	_, err := parse(text)
	return err == nil
}

// Range is a set of versions. The zero Range has every version that is a release.
type Range struct {
	text string
	// exact is the one version, where the text is one.
	exact *semver.Version
	among *semver.Constraints
}

// ParseRange reads a range: exact ("1.4.2"), or bounds as ">=1.4 <2", "~1.4", "^1.4.2", "1.4.x", "1.4 - 1.6", several with "||" between
// them. The empty text is the zero Range.
func ParseRange(text string) (Range, error) {
	r := Range{text: strings.TrimSpace(text)}
	if r.text == "" {
		return r, nil
	}
	if v, err := parse(r.text); err == nil {
		r.exact = v
		return r, nil
	}
	c, err := semver.NewConstraint(r.text)
	if err != nil {
		return Range{}, fmt.Errorf("%q is neither a version nor a range: write one such as 1.4.2, ~1.4 or \">=1.4 <2\"", shortened(r.text))
	}
	r.among = c
	return r, nil
}

// Has says whether a version is in the range. What comes before a release (1.5.0-rc.1) is in it only if the range names such a version.
// What is no version is in no range.
func (r Range) Has(version string) bool {
	v, err := parse(version)
	return err == nil && r.has(v)
}

func (r Range) has(v *semver.Version) bool {
	switch {
	case r.exact != nil:
		return r.exact.Equal(v)
	case r.among != nil:
		return r.among.Check(v)
	}
	return v.Prerelease() == ""
}

// Meets says whether a version that is there is enough for a requirement. Here what comes before a release counts by its place in the order:
// somebody has installed it on purpose, and 1.15.0-rc.1 has what 1.14 has.
func (r Range) Meets(version string) bool {
	v, err := parse(version)
	if err != nil || r.text == "" {
		return err == nil
	}
	if r.among == nil {
		return r.has(v)
	}
	all := *r.among
	all.IncludePrerelease = true
	return all.Check(v)
}

// String writes the range as it was read; "any" is the zero Range.
func (r Range) String() string {
	if r.text == "" {
		return "any"
	}
	return r.text
}

// shortened cuts what strangers wrote to what fits into a message.
func shortened(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
