package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const profile = `mode: atomic
example.org/m/internal/source/a.go:1.1,2.2 3 0
example.org/m/internal/source/a.go:3.1,4.2 1 0
example.org/m/internal/source/a.go:1.1,2.2 3 7
example.org/m/internal/source/ssh/b.go:1.1,2.2 4 1
example.org/m/internal/sourcery/c.go:1.1,2.2 100 0
`

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		reason  string
		profile string
		folders []string
		minimum float64
		out     string
		fails   bool
	}{
		"Enough": {
			reason:  "a statement that one of two test binaries ran counts once, as covered; what is below the folder counts too",
			profile: profile, folders: []string{"internal/source"}, minimum: 80,
			out: "87.5%",
		},
		"TooLittle": {
			reason:  "less than the minimum is an error",
			profile: profile, folders: []string{"internal/source"}, minimum: 90,
			out: "87.5%", fails: true,
		},
		"OneOfTwo": {
			reason:  "each folder must have enough by itself",
			profile: profile, folders: []string{"internal/source", "internal/sourcery"}, minimum: 80,
			out: "0.0%", fails: true,
		},
		"Absent": {
			reason:  "a folder that isn't in the profile was not tested",
			profile: profile, folders: []string{"internal/apply"}, fails: true,
		},
		"NoProfile": {
			reason:  "another file is not taken for a profile",
			profile: "hello\n", folders: []string{"internal/source"}, fails: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "profile")
			if err := os.WriteFile(file, []byte(tc.profile), 0o644); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := check(&out, file, tc.folders, tc.minimum)
			if (err != nil) != tc.fails {
				t.Errorf("%s: got error %v, want one: %t", tc.reason, err, tc.fails)
			}
			if !strings.Contains(out.String(), tc.out) {
				t.Errorf("%s: printed %q, want %s in it", tc.reason, out.String(), tc.out)
			}
		})
	}
}
