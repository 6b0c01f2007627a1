package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// fatalWaits are the reasons for which the kubelet keeps a container waiting that time
// alone rarely mends.
var fatalWaits = []string{
	"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "RegistryUnavailable",
}

// pod is healthy when it is ready or has finished well, degraded when a container
// cannot run. A pod that cannot be scheduled waits: a node may come.
func pod(o object) Verdict {
	switch o.text("status", "phase") {
	case "Succeeded":
		return healthy("Completed", "all containers have finished")
	case "Failed":
		return degraded(cmp.Or(o.text("status", "reason"), "Failed"), "%s",
			cmp.Or(o.text("status", "message"), failedContainer(o), "the pod has failed"))
	case "":
		return progressing("NotObserved", "no kubelet has seen it yet")
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range o.list("status", list) {
			if reason := c.text("state", "waiting", "reason"); slices.Contains(fatalWaits, reason) {
				return degraded(reason, "container %s: %s", c.text("name"), waits(c, reason))
			}
		}
	}
	if c, ok := o.condition("Ready"); ok && c.isTrue() {
		return healthy("Ready", "ready")
	}
	if c, ok := o.condition("PodScheduled"); ok && c.isFalse() {
		return progressing(c.because("NotScheduled"), "not scheduled: %s", c.says("no node has been found yet"))
	}
	return progressing("NotReady", "%s", cmp.Or(notReady(o), "not ready"))
}

// waits says why a container waits: the kubelet's message, and how it ended last time.
func waits(c object, reason string) string {
	parts := []string{reason}
	if m := strings.TrimSpace(c.text("state", "waiting", "message")); m != "" {
		parts = append(parts, m)
	}
	if c.has("lastState", "terminated") {
		parts = append(parts, "last ended with "+ended(object{c.fields}, "lastState"))
	}
	return strings.Join(parts, ": ")
}

func ended(c object, state string) string {
	text := fmt.Sprintf("exit code %d", c.numberOr(0, state, "terminated", "exitCode"))
	if reason := c.text(state, "terminated", "reason"); reason != "" && reason != "Error" {
		text += " (" + reason + ")"
	}
	return text
}

func failedContainer(o object) string {
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range o.list("status", list) {
			if c.numberOr(0, "state", "terminated", "exitCode") != 0 {
				return fmt.Sprintf("container %s ended with %s", c.text("name"), ended(c, "state"))
			}
		}
	}
	return ""
}

func notReady(o object) string {
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range o.list("status", list) {
			reason := c.text("state", "waiting", "reason")
			switch {
			case reason != "":
				return fmt.Sprintf("container %s: %s", c.text("name"), waits(c, reason))
			case list == "initContainerStatuses" && c.has("state", "running") && !c.truth("started"):
				return fmt.Sprintf("container %s is still initializing the pod", c.text("name"))
			case list == "containerStatuses" && !c.truth("ready"):
				return fmt.Sprintf("container %s is not ready", c.text("name"))
			}
		}
	}
	return ""
}

// job is healthy when it is complete, not before: what depends on a job depends on its
// outcome. (kstatus calls a running job current; Flux does not, and nor is it here.)
func job(o object) Verdict {
	if c, ok := o.condition("Failed"); ok && c.isTrue() {
		return degraded(c.because("Failed"), "%s", c.says("the job has failed"))
	}
	if c, ok := o.condition("FailureTarget"); ok && c.isTrue() {
		return degraded(c.because("FailureTarget"), "%s", c.says("the job is failing; its pods are being stopped"))
	}
	succeeded := o.numberOr(0, "status", "succeeded")
	wanted := o.numberOr(o.numberOr(1, "spec", "parallelism"), "spec", "completions")
	if c, ok := o.condition("Complete"); ok && c.isTrue() {
		return healthy("Complete", "complete: %d succeeded", succeeded)
	}
	if c, ok := o.condition("Suspended"); (ok && c.isTrue()) || o.truth("spec", "suspend") {
		return progressing("Suspended", "suspended: it runs when spec.suspend is false")
	}
	if !o.has("status", "startTime") {
		return progressing("NotStarted", "not started yet")
	}
	return progressing("Running", "%d of %d completed, %d active, %d failed", succeeded, wanted,
		o.numberOr(0, "status", "active"), o.numberOr(0, "status", "failed"))
}

// cronJob is healthy by being there: its jobs are judged by themselves.
func cronJob(o object) Verdict {
	if o.truth("spec", "suspend") {
		return healthy("Suspended", "suspended: no jobs are started")
	}
	return exists(o)
}
