// Package server is what the four services have in common: configuration from
// the environment, probes, version, metrics, request logs, and an orderly end.
// What a service does for its customers is not here.
package server
