package pack

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Available is a version that a source has.
type Available struct {
	// Version without a v before it.
	Version string
	// Digest of the package; empty where the list of the source doesn't say it.
	Digest v1alpha1.Digest
	// Published is when; zero where the list of the source doesn't say it. The Package that is fetched may know.
	Published time.Time
}

// parseVersion reads a version as tags have it: a v before it does no harm, but all three numbers must be there; "1" and "1.2" are tags
// that move.
func parseVersion(text string) (*semver.Version, bool) {
	if len(text) > 128 || strings.Count(text, ".") < 2 {
		return nil, false
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	return v, err == nil
}

// available makes a list of the names that are versions, the newest first. Of names with the same version one is kept.
func available(names []string) []Available {
	var all []Available
	seen := map[string]bool{}
	for _, name := range names {
		v, ok := parseVersion(name)
		if !ok || seen[v.String()] {
			continue
		}
		seen[v.String()] = true
		all = append(all, Available{Version: v.String()})
	}
	newestFirst(all)
	return all
}

func newestFirst(all []Available) {
	parsed := make(map[string]*semver.Version, len(all))
	for _, a := range all {
		parsed[a.Version], _ = parseVersion(a.Version)
	}
	slices.SortFunc(all, func(a, b Available) int {
		return cmp.Or(parsed[b.Version].Compare(parsed[a.Version]), cmp.Compare(b.Version, a.Version))
	})
}

// InRange says whether a version is in a range. Any version is in an empty range; none is in one that can't be read. What follows the
// three numbers of a version, as in v1.34.1-eks-123, isn't looked at: it says who made it, not how old it is.
func InRange(wanted, version string) bool {
	if wanted == "" {
		return true
	}
	c, err := semver.NewConstraint(wanted)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	return c.Check(v) || c.Check(semver.New(v.Major(), v.Minor(), v.Patch(), "", ""))
}

// sameVersion compares versions however they are written.
func sameVersion(a, b string) bool {
	one, err := semver.NewVersion(a)
	if err != nil {
		return a == b
	}
	other, err := semver.NewVersion(b)
	return err == nil && one.Equal(other) && one.Metadata() == other.Metadata()
}
