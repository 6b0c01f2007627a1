package term_test

import (
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

func TestSilence(t *testing.T) {
	type look struct {
		at      time.Duration
		version string
	}
	for name, tc := range map[string]struct {
		reason string
		looks  []look
		want   bool
	}{
		"First":     {"one look says nothing", []look{{0, "1"}}, false},
		"Renewed":   {"who writes isn't silent", []look{{0, "1"}, {30 * time.Second, "2"}, {60 * time.Second, "3"}, {90 * time.Second, "4"}}, false},
		"Silent":    {"nobody wrote for a minute", []look{{0, "1"}, {30 * time.Second, "1"}, {60 * time.Second, "1"}}, true},
		"Almost":    {"a minute isn't over", []look{{0, "1"}, {30 * time.Second, "1"}, {59 * time.Second, "1"}}, false},
		"Deaf":      {"who didn't look for long can't tell", []look{{0, "1"}, {30 * time.Second, "1"}, {10 * time.Minute, "1"}}, false},
		"Deaf then": {"and counts anew", []look{{0, "1"}, {10 * time.Minute, "1"}, {10*time.Minute + 30*time.Second, "1"}, {11 * time.Minute, "1"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := term.Silence{After: time.Minute, Gap: 40 * time.Second}
			begin, got := time.Unix(1_700_000_000, 0), false
			for _, l := range tc.looks {
				got = s.Heard(l.version, begin.Add(l.at))
			}
			if got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
}
