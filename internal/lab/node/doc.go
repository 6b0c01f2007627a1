// Package node describes a real node of a lab: the namespaces it lives in, and the configuration and command lines of containerd,
// kubelet and kube-proxy. It writes files and starts nothing.
//
// A node is a set of processes in PID, mount, network, UTS and IPC namespaces of its own. Its root is the host's, but /run,
// /var/lib and /var/log are its own, so that everything in it has its usual path and nothing of it is seen or left on the host. When
// its init ends, the kernel ends every process, mount and network device in it.
package node
