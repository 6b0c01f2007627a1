package plan

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// inRange is whether a version is in a range; every version is in an empty one, and in one that is no range: the package's reader has told
// that already. What follows the three numbers, as in v1.34.1-eks-123, says who made it, not how old it is.
func inRange(wanted, version string) bool {
	if wanted == "" {
		return true
	}
	c, err := semver.NewConstraint(wanted)
	if err != nil {
		return true
	}
	v, err := semver.NewVersion(version)
	if err != nil {
		return true
	}
	return c.Check(v) || c.Check(semver.New(v.Major(), v.Minor(), v.Patch(), "", ""))
}

// released is whether a version of Slipway tells how old it is. What was built from a commit before the first release, which Go numbers
// v0.0.0-…, may be newer than any.
func released(version string) bool { return version != "" && !strings.HasPrefix(version, "v0.0.0-") }
