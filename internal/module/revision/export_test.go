package revision

import (
	"context"
	"time"
)

// SetNow sets the time of a store, for tests.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// Sweep is Collect without revisions, for tests.
func (s *Store) Sweep(ctx context.Context) error { return s.sweep(ctx) }
