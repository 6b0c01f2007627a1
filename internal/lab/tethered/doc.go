// Package tethered runs control planes that live no longer than the process that started them, however that ends: for tests and for
// measurements. Each has a folder, an etcd and a port of its own.
package tethered
