// Command upstream builds a released program of another project from its Go module, keeps it in the user's cache folder and prints its
// path.
//
//	go run ./upstream flux                   the CLI, which end-to-end tests run against Slipway
//	go run ./upstream kustomize-controller   the controllers, which benchmarks and hand-over tests run beside Slipway
//	go run ./upstream source-controller
//	go run ./upstream flagger-1.37           third-party controllers, which end-to-end tests have Slipway install and upgrade as modules;
//	go run ./upstream jobset-0.10            also flagger-1.36, flagger-1.41 and jobset-0.11
//	go run ./upstream versitygw              an S3 server, for tests of buckets
//
// With -source before the program's name it prints the folder of the program's module instead, where its manifests are.
//
// The versions are fixed here, so that everybody tests with the same ones. A second run finds the first one's binary.
package main
