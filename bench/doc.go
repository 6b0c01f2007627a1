// Command bench measures Slipway's delivery beside Flux's controllers and beside the floor: the same objects, on a fresh control plane
// each, in one run.
//
//	go run ./bench                                     everything, about an hour on two cores
//	go run ./bench -scenarios create -n 100            one scenario, small
//	go run ./bench -engines slipway,floor -o results   without Flux
//
// It writes results.md and results.json. What is measured: seconds, CPU-seconds of the engine and of the API server, requests of the
// engine to the API server by verb (from its audit log), and the engine's peak memory. The control plane runs etcd, kube-apiserver and
// kube-controller-manager; Deployments have no replicas, so that no node is needed.
//
// Every engine gets the same: its objects, its own identity (no impersonation), concurrency as Flux's own benchmark sets it.
package main
