// Command upstream builds a released program of another project from its Go module, keeps it in the user's cache folder and prints its
// path.
//
//	go run ./upstream flux                   the CLI, which end-to-end tests run against Slipway
//	go run ./upstream kustomize-controller   the controllers, which benchmarks and hand-over tests run beside Slipway
//	go run ./upstream source-controller
//	go run ./upstream versitygw              an S3 server, for tests of buckets
//
// The versions are fixed here, so that everybody tests with the same ones. A second run finds the first one's binary.
package main
