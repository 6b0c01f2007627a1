// Package gitserver is a Git server for the lab, the demo and the tests: bare
// repositories in a folder, served by git's own http-backend and upload-pack,
// with a small API that commits to them from Go.
//
// It exists so that source code can be fetched from something that behaves
// like the servers people use, without leaving the machine. It is not a
// product part: it runs the git binary, keeps one user, and has no limits for
// strangers.
package gitserver
