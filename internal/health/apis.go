package health

func namespace(o object) Verdict {
	if o.text("status", "phase") == "Terminating" {
		return terminating(o)
	}
	return healthy("Active", "active")
}

// definition is healthy when the API server serves the new kind.
func definition(o object) Verdict {
	if c, ok := o.condition("NamesAccepted"); ok && c.isFalse() {
		return degraded(c.because("NamesNotAccepted"), "%s", c.says("another definition has one of its names"))
	}
	if c, ok := o.condition("NonStructuralSchema"); ok && c.isTrue() {
		return degraded(c.because("NonStructuralSchema"), "%s", c.says("its schema is not structural"))
	}
	c, ok := o.condition("Established")
	switch {
	case ok && c.isTrue():
		return healthy("Established", "established")
	case ok && c.isFalse() && c.Reason != "Installing" && c.Reason != "NotAccepted":
		return degraded(c.because("NotEstablished"), "%s", c.says("not established"))
	default:
		return progressing("Installing", "not established yet")
	}
}

// apiService is healthy when the API that it registers answers.
func apiService(o object) Verdict {
	c, ok := o.condition("Available")
	switch {
	case ok && c.isTrue():
		return healthy(c.because("Available"), "available")
	case !o.has("spec", "service"):
		return healthy("Local", "served by the API server itself")
	case !ok:
		return progressing("NotObserved", "its availability is not known yet")
	default:
		return progressing(c.because("NotAvailable"), "%s", c.says("not available"))
	}
}
