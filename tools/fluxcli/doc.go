// Command fluxcli builds the stock flux CLI from its Go module, keeps it in the
// user's cache folder and prints its path. End-to-end tests run it against
// Slipway to prove that it works on what Slipway reconciles.
//
// The version is fixed here, so that everybody tests with the same one. A
// second run finds the first one's binary.
package main
