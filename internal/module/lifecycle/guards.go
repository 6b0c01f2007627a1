package lifecycle

// guard is a condition on the facts, with the words that the drawing has for it. The zero guard always holds.
type guard struct {
	name  string
	holds func(Facts) bool
}

func (g guard) pass(f Facts) bool { return g.holds == nil || g.holds(f) }

var (
	installed   = guard{"installed", func(f Facts) bool { return f.Installed }}
	anythingSet = guard{"anything there", func(f Facts) bool { return f.Installed || f.Unsettled }}
	unsettled   = guard{"unsettled", func(f Facts) bool { return f.Unsettled }}
	committed   = guard{"commit begun", func(f Facts) bool { return f.CommitBegun }}
	noWayBack   = guard{"no way back", func(f Facts) bool { return f.NoWayBack }}
	rejected    = guard{"rejected before", func(f Facts) bool { return f.Rejected && !f.Unsettled }}
	paused      = guard{"paused", func(f Facts) bool { return f.Paused }}

	// mayStart doesn't hold for what lies over an attempt that isn't settled: that is mayGoOn's matter.
	mayStart = guard{"may start", func(f Facts) bool { return f.MayStart && !f.Rejected && !f.Unsettled }}
	// mayGoOn leads forward out of Frozen, where a person has said so.
	mayGoOn = guard{"unsettled, approved, may start", func(f Facts) bool { return f.Unsettled && f.Approved && f.MayStart && !f.Rejected }}

	// takesItselfBack is when the agent may decide by itself that an attempt is taken back.
	takesItselfBack = guard{"reversible, rollback Automatic", func(f Facts) bool { return f.Reversible && f.Automatic && !f.NoWayBack }}
	// canBeTakenBack is when a person may.
	canBeTakenBack = guard{"reversible or forced, and there is a way back", func(f Facts) bool { return (f.Reversible || f.Forced) && !f.NoWayBack }}
)
