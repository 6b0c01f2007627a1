// Package simulate makes a cluster without machines look alive: it creates
// nodes and, with kwok's controllers, keeps them and the pods on them Ready.
//
// It plays the kubelet's part only. Scheduling, ReplicaSets, Jobs and the rest
// are the cluster's own controllers, which must run. Nothing is executed:
// logs, exec and a pod's address answer to nobody.
package simulate
