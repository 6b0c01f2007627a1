package kube

import "sigs.k8s.io/controller-runtime/pkg/client"

// Written is what a process wrote of an object last, for a reader whose cache may be behind that. The process owns the status alone, and
// others write the rest: a state that the cache has may be older in the one and newer in the other. The zero value knows of nothing.
type Written[T client.Object] struct {
	known bool
	obj   T
	// version is that in which the status is as in obj. All of obj is so in its own, which is older where others changed the rest between.
	version string
}

// Is notes that obj is as this process wrote it. version is what PatchStatus returned: one that isn't new, because there was nothing to
// write, leaves the last one as it is.
func (w *Written[T]) Is(obj T, version string) {
	if w.known && w.obj.GetUID() == obj.GetUID() && Older(version, w.version) {
		version = w.version
	}
	w.known, w.obj, w.version = true, obj.DeepCopyObject().(T), version
}

// Newest returns a copy of what a cache has of the object, with what this process wrote later. give sets the status of an object to that of
// another.
func (w *Written[T]) Newest(cached T, give func(to, from T)) T {
	if !w.known || w.obj.GetUID() != cached.GetUID() || !Older(cached.GetResourceVersion(), w.version) {
		*w = Written[T]{}
		return cached.DeepCopyObject().(T)
	}
	if Older(cached.GetResourceVersion(), w.obj.GetResourceVersion()) {
		return w.obj.DeepCopyObject().(T)
	}
	newest := cached.DeepCopyObject().(T)
	give(newest, w.obj.DeepCopyObject().(T))
	return newest
}
