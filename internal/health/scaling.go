package health

// autoscaler is healthy once it can read and set its target's size. When it has no
// metrics it is healthy with a word of warning: it stops nothing that runs, and
// clusters without a metrics server would never become healthy.
func autoscaler(o object) Verdict {
	conditions := o.conditions("status", "conditions")
	able, ok := find(conditions, "AbleToScale")
	switch {
	case !ok:
		// autoscaling/v1 keeps its conditions in an annotation
		if o.has("status", "currentReplicas") || o.text("apiVersion") == "autoscaling/v1" {
			return exists(o)
		}
		return notObserved()
	case able.isFalse():
		return progressing(able.because("UnableToScale"), "%s", able.says("its target's size cannot be read or set"))
	}
	active, ok := find(conditions, "ScalingActive")
	if ok && active.isFalse() {
		return healthy(active.because("ScalingInactive"), "does not scale at present: %s", active.says("no reason given"))
	}
	return healthy("ScalingActive", "keeps %d replicas", o.numberOr(0, "status", "currentReplicas"))
}

// disruptionBudget is healthy once it has been computed; that it allows no disruption
// right now is no fault of its own.
func disruptionBudget(o object) Verdict {
	if !o.has("status", "observedGeneration") {
		return notObserved()
	}
	if c, ok := o.condition("DisruptionAllowed"); ok && c.isFalse() && c.Reason == "SyncFailed" {
		return degraded(c.Reason, "cannot be computed, so it allows no disruption: %s", c.says("no reason given"))
	}
	return healthy("Computed", "allows %d disruptions", o.numberOr(0, "status", "disruptionsAllowed"))
}
