package health

// claim is healthy when it is bound. One that waits for its first consumer looks like
// one that waits for a volume.
func claim(o object) Verdict {
	switch phase := o.text("status", "phase"); phase {
	case "Bound":
		if c, ok := o.condition("ControllerResizeError"); ok && c.isTrue() {
			return degraded(c.because("ResizeFailed"), "bound, but cannot be resized: %s", c.says("no reason given"))
		}
		return healthy("Bound", "bound")
	case "Lost":
		return degraded("Lost", "its volume %s is gone, and the data with it", o.text("spec", "volumeName"))
	case "":
		return progressing("NotObserved", "no controller has seen it yet")
	default:
		return progressing(phase, "waits for a volume, or for the first pod that uses it")
	}
}

func volume(o object) Verdict {
	switch phase := o.text("status", "phase"); phase {
	case "Failed":
		message := o.text("status", "message")
		if message == "" {
			message = "the volume could not be reclaimed"
		}
		return degraded("Failed", "%s", message)
	case "", "Pending":
		return progressing("Pending", "not available yet")
	default:
		return healthy(phase, "the volume is %s", phase)
	}
}
