// Package program provides the executables that a lab is made of. Each is built once from the nested modules under lab/ of a
// checkout and kept in the user's cache folder by version and by a hash of its sources, so that a change of the sources is a
// new executable and everything else starts at once.
//
// It is not a general build tool, and it never runs what it builds.
package program
