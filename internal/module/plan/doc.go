// Package plan finds out what an attempt to install or upgrade a module would do, before anything is written: everything that can be
// checked by reading and by dry-runs is checked, and all problems are told at once.
package plan
