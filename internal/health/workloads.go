package health

import "fmt"

// replicas counts what a workload's status says.
type replicas struct {
	wanted, total, updated, ready, available int64
}

func replicasOf(o object) replicas {
	return replicas{
		wanted:    o.numberOr(1, "spec", "replicas"), // the API server's default
		total:     o.numberOr(0, "status", "replicas"),
		updated:   o.numberOr(0, "status", "updatedReplicas"),
		ready:     o.numberOr(0, "status", "readyReplicas"),
		available: o.numberOr(0, "status", "availableReplicas"),
	}
}

// of writes "2 of 3 replicas are available".
func of(n, wanted int64, what string) string {
	noun, verb := "replicas", "are"
	if wanted == 1 {
		noun = "replica"
	}
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %d %s %s %s", n, wanted, noun, verb, what)
}

// missing says what a rollout of a Deployment or the like still lacks, most basic first.
func (r replicas) missing() (Verdict, bool) {
	switch {
	case r.updated < r.wanted:
		return progressing("LessUpdated", "%s", of(r.updated, r.wanted, "up to date")), true
	case r.total > r.wanted:
		return progressing("ExtraPods", "%d old replicas are still there", r.total-r.wanted), true
	case r.available < r.wanted:
		return progressing("LessAvailable", "%s", of(r.available, r.wanted, "available")), true
	case r.ready < r.wanted:
		return progressing("LessReady", "%s", of(r.ready, r.wanted, "ready")), true
	}
	return Verdict{}, false
}

// deployment is healthy when its latest template is rolled out and available; degraded
// when the deployment controller says that it took too long.
func deployment(o object) Verdict {
	if !o.has("status", "observedGeneration") {
		return notObserved()
	}
	r := replicasOf(o)
	lacks, incomplete := r.missing()
	failure, failed := o.condition("ReplicaFailure")
	failed = failed && failure.isTrue()
	if c, ok := o.condition("Progressing"); ok && c.isFalse() && c.Reason == "ProgressDeadlineExceeded" {
		message := "the rollout took longer than progressDeadlineSeconds allows"
		if incomplete {
			message += ": " + lacks.Message
		}
		if failed {
			message += "; " + failure.says("pods cannot be created")
		}
		return degraded(c.Reason, "%s", message)
	}
	switch {
	case incomplete && failed:
		return progressing(failure.because("ReplicaFailure"), "%s: %s", lacks.Message, failure.says("pods cannot be created"))
	case incomplete && o.truth("spec", "paused"):
		return progressing("Paused", "%s, and the Deployment is paused", lacks.Message)
	case incomplete:
		return lacks
	}
	if c, ok := o.condition("Available"); ok && !c.isTrue() {
		return progressing(c.because("NotAvailable"), "%s", c.says("not available"))
	}
	if c, ok := o.condition("Progressing"); ok && c.Reason != "NewReplicaSetAvailable" && !o.truth("spec", "paused") {
		return progressing(c.because("RollingOut"), "%s", c.says("the rollout is not complete"))
	}
	return healthy("Available", "%s", of(r.available, r.wanted, "available"))
}

func replicaSet(o object) Verdict {
	if !o.has("status", "observedGeneration") {
		return notObserved()
	}
	r := replicasOf(o)
	if c, ok := o.condition("ReplicaFailure"); ok && c.isTrue() {
		return progressing(c.because("ReplicaFailure"), "%s: %s", of(r.available, r.wanted, "available"), c.says("pods cannot be created"))
	}
	r.updated = r.wanted // there is only one template
	if lacks, incomplete := r.missing(); incomplete {
		return lacks
	}
	return healthy("Available", "%s", of(r.available, r.wanted, "available"))
}

// statefulSet follows `kubectl rollout status`: with a partition, only the replicas
// above it are expected to be up to date; with OnDelete, people delete the pods.
func statefulSet(o object) Verdict {
	if !o.has("status", "observedGeneration") {
		return notObserved()
	}
	r := replicasOf(o)
	switch {
	case r.total > r.wanted:
		return progressing("ExtraPods", "%d replicas have still to go", r.total-r.wanted)
	case r.ready < r.wanted:
		return progressing("LessReady", "%s", of(r.ready, r.wanted, "ready"))
	case o.text("spec", "updateStrategy", "type") == "OnDelete":
		return healthy("OnDelete", "%s; pods take a new template when they are deleted (OnDelete)", of(r.ready, r.wanted, "ready"))
	}
	expected := r.wanted
	if partition, ok := o.number("spec", "updateStrategy", "rollingUpdate", "partition"); ok {
		expected = max(0, r.wanted-partition)
	}
	current, update := o.text("status", "currentRevision"), o.text("status", "updateRevision")
	if current != update && r.updated < expected {
		return progressing("LessUpdated", "%s", of(r.updated, expected, "up to date"))
	}
	if o.has("status", "availableReplicas") && r.available < r.wanted {
		return progressing("LessAvailable", "%s", of(r.available, r.wanted, "available"))
	}
	if expected < r.wanted {
		return healthy("Partitioned", "%s; the others wait behind the partition", of(r.updated, r.wanted, "up to date"))
	}
	return healthy("Ready", "%s", of(r.ready, r.wanted, "ready"))
}

// daemonSet is healthy when every node that should run a pod has an available one of
// the latest template.
func daemonSet(o object) Verdict {
	if !o.has("status", "observedGeneration") {
		return notObserved()
	}
	wanted := o.numberOr(0, "status", "desiredNumberScheduled")
	scheduled := o.numberOr(0, "status", "currentNumberScheduled")
	updated := o.numberOr(0, "status", "updatedNumberScheduled")
	available := o.numberOr(0, "status", "numberAvailable")
	onDelete := o.text("spec", "updateStrategy", "type") == "OnDelete"
	switch {
	case scheduled < wanted:
		return progressing("LessScheduled", "%d of %d nodes have a pod", scheduled, wanted)
	case updated < wanted && !onDelete:
		return progressing("LessUpdated", "%d of %d nodes have a pod that is up to date", updated, wanted)
	case available < wanted:
		return progressing("LessAvailable", "%d of %d nodes have a pod that is available", available, wanted)
	}
	return healthy("Available", "%d of %d nodes have a pod that is available", available, wanted)
}
