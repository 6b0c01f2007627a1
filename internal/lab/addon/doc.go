// Package addon describes what a lab has besides Kubernetes itself: the cluster's DNS, metrics-server, an OCI registry, and kwok
// for simulated nodes. They run as processes beside the control plane, not as pods, so they need no images and survive whatever
// happens to the nodes; Services without selectors lead pods and the API server to them.
//
// It writes files and starts nothing.
package addon
