package health

// mustBeReady is the rule of kinds that always get a Ready condition: unlike with an
// unknown kind, its absence means that no controller has been here yet.
func mustBeReady(o object) Verdict {
	c, ok := o.condition("Ready")
	if !ok {
		if o.truth("spec", "suspend") {
			return healthy("Suspended", "suspended before it was reconciled for the first time")
		}
		return notObserved()
	}
	return ready(o, c)
}

// helmRepository: those of type oci are only settings, and get no status.
func helmRepository(o object) Verdict {
	if o.text("spec", "type") == "oci" {
		return exists(o)
	}
	return mustBeReady(o)
}
