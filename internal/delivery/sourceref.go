package delivery

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/source"
)

// input is the tree that a Kustomization is built from.
type input struct {
	snapshot *source.Snapshot
	artifact *meta.Artifact
}

// sourceKey is the namespaced name of the source that obj is built from.
func sourceKey(obj *kustomizev1.Kustomization) types.NamespacedName {
	ns := obj.Spec.SourceRef.Namespace
	if ns == "" {
		ns = obj.Namespace
	}
	return types.NamespacedName{Namespace: ns, Name: obj.Spec.SourceRef.Name}
}

// input finds what obj is built from, or says why that can't be had now. It makes no request: sources are watched.
func (r *KustomizationReconciler) input(ctx context.Context, obj *kustomizev1.Kustomization) (*input, *blocked, error) {
	ref, key := obj.Spec.SourceRef, sourceKey(obj)
	if r.opts.NoCrossNamespaceRefs && key.Namespace != obj.Namespace {
		return nil, stalledBy(accessDenied, fmt.Sprintf("can't access '%s/%s', cross-namespace references have been blocked; put the source into namespace %s",
			ref.Kind, key, obj.Namespace)), nil
	}
	src, ok := r.sources.New(ref.Kind)
	if !ok {
		return nil, stalledBy(meta.ArtifactFailedReason, fmt.Sprintf("this cluster does not know %s: install its definition with `slipway install`; "+
			"it is served as soon as it is there", ref.Kind)), nil
	}
	if err := r.client.Get(ctx, key, src); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, &blocked{reason: meta.ArtifactFailedReason, message: fmt.Sprintf("Source '%s/%s' not found; create it, or correct spec.sourceRef", ref.Kind, key)}, nil
		}
		return nil, nil, fmt.Errorf("get source %s: %w", key, err)
	}
	artifact := src.GetArtifact()
	if artifact == nil {
		return nil, &blocked{reason: meta.ArtifactFailedReason, message: fmt.Sprintf("Source '%s/%s' has no artifact yet; see its conditions", ref.Kind, key), expected: true}, nil
	}
	snapshot, ok := r.snapshots.Get(artifact.Digest)
	if !ok {
		if problem := r.sources.Problem(ref.Kind, key); problem != "" {
			return nil, &blocked{reason: meta.ArtifactFailedReason, message: fmt.Sprintf("Source '%s/%s' can't be fetched: %s", ref.Kind, key, problem)}, nil
		}
		r.sources.Look(ref.Kind, key)
		return nil, &blocked{
			reason: meta.ArtifactFailedReason, message: fmt.Sprintf("Source '%s/%s' is being fetched again", ref.Kind, key), quiet: true,
		}, nil
	}
	return &input{snapshot: snapshot, artifact: artifact}, nil, nil
}
