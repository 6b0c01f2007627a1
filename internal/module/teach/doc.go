// Package teach takes the Interpreters of the cluster into use: it compiles each, runs the tests in it, puts it into the registry by which
// objects are judged, and says in its status what became of it.
//
// An Interpreter that is wrong is not used; the one that was in use under its name before stays, as long as this process lives. Every replica
// of the agent keeps its registry, so that one that takes over judges right from the start; the one that leads writes the status.
//
// It judges no objects itself: package interpret does.
package teach
