package plan

import "testing"

// A build of no release isn't held against ranges: nobody can tell how old it is.
func TestReleased(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, "v0.0.0-20261101100000-0123456789ab": false, "v0.0.0-20261101100000-0123456789ab+dirty": false,
		"v0.4.0": true, "v0.4.1-0.20261101100000-0123456789ab": true,
	} {
		if got := released(version); got != want {
			t.Errorf("released(%q) is %t, want %t", version, got, want)
		}
	}
}
