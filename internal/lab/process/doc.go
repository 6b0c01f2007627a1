// Package process starts the components of a lab and finds them again.
//
// A detached component belongs to nobody: it has a session of its own, writes to a log file and goes on when the command that
// started it ends. It carries marks in its environment by which any later command finds it in /proc, so there is no supervisor
// and no PID file that could be wrong. A tethered component dies with the process that started it, even when that is killed.
//
// The package knows processes only; what to run is its callers' business. It needs Linux.
package process
