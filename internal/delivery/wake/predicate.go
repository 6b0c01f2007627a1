package wake

import (
	"maps"

	"github.com/fluxcd/pkg/apis/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SpecOrRequest lets through what a person did: a new spec, a request, a deletion, and labels and annotations, which expressions read
// and which hold modes.
func SpecOrRequest() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			!maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}

// ArtifactMoved lets through sources whose artifact is another one.
func ArtifactMoved() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := artifactOf(e.ObjectOld), artifactOf(e.ObjectNew)
		return is != nil && (was == nil || was.Digest != is.Digest || was.Revision != is.Revision)
	}}
}

func artifactOf(obj client.Object) *meta.Artifact {
	if s, ok := obj.(interface{ GetArtifact() *meta.Artifact }); ok {
		return s.GetArtifact()
	}
	return nil
}
