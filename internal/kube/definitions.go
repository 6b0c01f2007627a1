package kube

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
)

// WatchDefinitions watches the cluster's CRDs, without their bodies, until the context ends. Whenever one comes, changes or goes, the
// mapping of kinds is refreshed before it is next used, and changed, unless nil, is called with the name of the CRD
// ("boats.example.com"), or with "" when any may have changed unseen. So what waits for a kind can be looked at again. changed must
// not block. Where CRDs may not be watched, unknown kinds are asked for now and then instead.
func (c *Clients) WatchDefinitions(ctx context.Context, changed func(name string)) error {
	client, err := c.For(Identity{})
	if err != nil {
		return err
	}
	if changed == nil {
		changed = func(string) {}
	}
	crds := client.Metadata.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	pauses := wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 10, Cap: time.Minute}
	pause := pauses
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			c.Invalidate()
			changed("")
		}
		if c.followDefinitions(ctx, crds, changed) {
			pause = pauses
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause.Step()):
		}
	}
	return nil
}

// followDefinitions watches until the watch ends, and tells whether there was one.
func (c *Clients) followDefinitions(ctx context.Context, crds metadata.ResourceInterface, changed func(string)) bool {
	list, err := crds.List(ctx, metav1.ListOptions{Limit: 1}) // only where the watch begins is of interest
	if err != nil {
		return false
	}
	stream, err := crds.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return false
	}
	defer stream.Stop()
	for e := range stream.ResultChan() {
		if crd, ok := e.Object.(*metav1.PartialObjectMetadata); ok && e.Type != watch.Bookmark {
			c.Invalidate()
			changed(crd.Name)
		}
	}
	return true
}
