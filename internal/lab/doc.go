// Package lab runs Kubernetes clusters on this machine: a control plane from source, nodes that are real (containerd and kubelet in
// namespaces of their own), simulated (kwok) or none, and with real nodes the cluster's DNS, metrics-server and an image registry.
//
// A lab is one folder and a set of detached processes that carry its mark. Nothing supervises them: Up starts what is missing,
// Status says what is, Down ends everything and removes the folder. All three may be killed at any moment and run again.
//
// It is for people's machines, tests and CI. It is not a way to run anything that matters: nothing is replicated, encrypted at
// rest or synced to disk.
package lab
