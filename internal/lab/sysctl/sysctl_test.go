package sysctl

import (
	"path/filepath"
	"testing"
)

func TestRaiseAndRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		reason               string
		was, raised, rounds  int
		wantRaised, wantLast int
	}{
		"too low":     {reason: "it is raised, and put back", was: 128, rounds: 1, wantRaised: 8192, wantLast: 128},
		"two labs":    {reason: "the second lab must not take the first one's number for the machine's", was: 0, rounds: 2, wantRaised: 8192, wantLast: 0},
		"high enough": {reason: "what is enough is left alone", was: 100000, rounds: 1, wantRaised: 100000, wantLast: 100000},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := Setting{path: filepath.Join(dir, "setting"), note: filepath.Join(dir, "run", "note"), least: 8192, what: "test"}
			if err := write(s.path, tc.was); err != nil {
				t.Fatal(err)
			}
			for range tc.rounds {
				if err := s.Raise(); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := read(s.path); err != nil || got != tc.wantRaised {
				t.Errorf("%s: raised to %d, %v; want %d", tc.reason, got, err, tc.wantRaised)
			}
			for range 2 { // the second time there is nothing to do
				if err := s.Restore(); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := read(s.path); err != nil || got != tc.wantLast {
				t.Errorf("%s: restored to %d, %v; want %d", tc.reason, got, err, tc.wantLast)
			}
		})
	}
}

func TestMissingSettingIsAnError(t *testing.T) {
	s := Setting{path: filepath.Join(t.TempDir(), "absent"), note: filepath.Join(t.TempDir(), "note"), least: 1, what: "test"}
	if err := s.Raise(); err == nil {
		t.Error("a kernel without the setting can't serve")
	}
}
