// Package interpret teaches the agent kinds that it does not know: what health, replicas, drained, dependencies and version mean for them,
// in CEL.
//
// A Definition says it for one kind. Compile checks all of it at once; Check runs the tests that are written inside of it; the Interpreter
// that Compile gives judges objects. A Registry holds the interpreters of a cluster, knows which of them speaks for an object, and falls back
// to the rules of package health. The ready-made ones are the YAML files of package interpreters.
//
// An interpreter looks at one object, as it was read from the API server. It asks nobody, knows no time and keeps nothing. What comes out of
// it is bounded in size whatever goes in, and one evaluation of all its expressions costs at most expr.MaxCost, and what the last one of
// them may cost.
package interpret
