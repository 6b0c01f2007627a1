package term

import "time"

// Silence tells for how long nobody has written a Lease, as far as this process has seen: only times count in which it could read the
// Lease, so that nobody is taken for silent by who couldn't hear.
type Silence struct {
	// After is how long nobody may write before it is silence.
	After time.Duration
	// Gap is how far two looks may be apart: after a longer pause it begins anew.
	Gap time.Duration

	version     string
	since, last time.Time
}

// Heard notes what the Lease's resource version was at a time, and tells whether that is silence.
func (s *Silence) Heard(version string, at time.Time) bool {
	if version != s.version || s.last.IsZero() || at.Sub(s.last) > s.Gap {
		s.version, s.since = version, at
	}
	s.last = at
	return at.Sub(s.since) >= s.After
}
