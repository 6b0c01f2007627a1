// Package telemetry tells what the agent does and what that costs: Prometheus metrics and OpenTelemetry traces.
//
// A reconcile is a [Run], which travels in the context. Whoever does work adds to the run that it finds there; where there is none,
// because telemetry is off or a test leaves it out, adding does nothing. So no layer has to be handed anything.
//
// What is counted for each object is kept as a few numbers and turned into Prometheus' series only while somebody scrapes. Series of
// objects that are gone are gone with them.
package telemetry
