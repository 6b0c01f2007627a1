// Package history knows which commit has written a line: in a repository on this machine, or in a mirror of one that it makes with
// a person's credentials.
//
// It is for people who ask, not for the agent, which keeps no history. It runs no git program.
package history
