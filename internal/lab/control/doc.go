// Package control describes a control plane of its own folder: its certificates, the command lines of etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, and how to tell that each is ready. It starts nothing: internal/lab runs the
// components detached, labtest tethered to a test binary.
//
// etcd listens on a unix socket in the plane's folder and nowhere else, so that an API server can reach no etcd but its own.
package control
