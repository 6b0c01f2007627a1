package delivery

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// transients are the objects of a set that remove themselves when their work is done, with the digest of each as it was applied.
// When such an object is gone it is neither drift nor missing, and it is made again only when it is another one in the source.
func transients(objs []*unstructured.Unstructured) map[kube.Ref]string {
	var found map[kube.Ref]string
	for _, obj := range objs {
		if !health.HealthyWhenGone(obj) {
			continue
		}
		if found == nil {
			found = map[kube.Ref]string{}
		}
		found[kube.RefOf(obj).Unversioned()] = digestOf([]*unstructured.Unstructured{obj})
	}
	return found
}

// done tells whether ref is an object that was applied, and has removed itself since.
func (to *target) done(p *past, ref kube.Ref) bool {
	if p == nil || p.transient[ref.Unversioned()] == "" {
		return false
	}
	_, exists, watched := to.watcher.Get(ref)
	return watched && !exists
}

// undone leaves out of objs what was done in the attempt before and is the same now.
func (t *task) undone(before *past, objs []*unstructured.Unstructured) []*unstructured.Unstructured {
	if before == nil || len(before.transient) == 0 {
		return objs
	}
	var out []*unstructured.Unstructured
	for _, obj := range objs {
		ref := kube.RefOf(obj)
		if !t.done(before, ref) || before.transient[ref.Unversioned()] != t.entry.past.transient[ref.Unversioned()] {
			out = append(out, obj)
		}
	}
	return out
}
