package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// waiting is an error about a repository that is to be included.
type waiting struct{ reason, message string }

func (w *waiting) Error() string { return w.message }

// unavailable says that what is to be included can't be had.
func unavailable(err error) (fetched[*sourcev1.GitRepository], error) {
	reason := source.ReasonIncludeCopy
	var w *waiting
	if errors.As(err, &w) {
		reason = w.reason
		err = &source.Error{Reason: reason, Err: err}
	}
	return fetched[*sourcev1.GitRepository]{
		reached:    true,
		conditions: []metav1.Condition{{Type: sourcev1.IncludeUnavailableCondition, Status: metav1.ConditionTrue, Reason: reason, Message: err.Error()}},
	}, err
}

// included is what spec.include means at this moment.
type included struct {
	parts     []source.Include
	artifacts []*meta.Artifact
}

func (d gitRepositories) included(ctx context.Context, obj *sourcev1.GitRepository, want want) (included, error) {
	var out included
	if len(obj.Spec.Include) == 0 {
		return out, nil
	}
	if loop, err := d.loop(ctx, obj); err != nil || loop != nil {
		if loop != nil {
			err = &waiting{"IncludeLoop", fmt.Sprintf("spec.include leads in a circle: %s; remove one of these includes", strings.Join(loop, " → "))}
		}
		return out, err
	}
	for i, inc := range obj.Spec.Include {
		name := inc.GitRepositoryRef.Name
		artifact, err := d.artifact(ctx, obj.Namespace, name)
		if err != nil {
			return out, err
		}
		if old := obj.Status.IncludedArtifacts; want.revision != "" && i < len(old) && old[i] != nil {
			if _, ok := d.store.Get(old[i].Digest); ok {
				artifact = old[i]
			}
		}
		snapshot, ok := d.store.Get(artifact.Digest)
		if !ok {
			return out, &waiting{"NoArtifact", fmt.Sprintf("spec.include: GitRepository '%s/%s' is being fetched again", obj.Namespace, name)}
		}
		out.parts = append(out.parts, source.Include{Name: name, From: inc.GetFromPath(), To: inc.GetToPath(), Snapshot: snapshot.At(artifact.Revision)})
		out.artifacts = append(out.artifacts, artifact)
	}
	return out, nil
}

func (d gitRepositories) artifact(ctx context.Context, namespace, name string) (*meta.Artifact, error) {
	var other sourcev1.GitRepository
	if err := d.cached.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &other); err != nil {
		if client.IgnoreNotFound(err) == nil {
			err = &waiting{"NotFound", fmt.Sprintf("spec.include: GitRepository '%s/%s' not found; create it, or correct spec.include", namespace, name)}
		}
		return nil, err
	}
	if other.GetArtifact() == nil {
		return nil, &waiting{"NoArtifact", fmt.Sprintf("spec.include: GitRepository '%s/%s' has no artifact yet; see its conditions", namespace, name)}
	}
	return other.GetArtifact(), nil
}

// loop finds a way from a repository through what is included back to it. Each round would put the tree into itself once more.
func (d gitRepositories) loop(ctx context.Context, obj *sourcev1.GitRepository) ([]string, error) {
	var all sourcev1.GitRepositoryList
	if err := d.cached.List(ctx, &all, client.InNamespace(obj.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list GitRepositories: %w", err)
	}
	includes := map[string][]sourcev1.GitRepositoryInclude{}
	for i := range all.Items {
		includes[all.Items[i].Name] = all.Items[i].Spec.Include
	}
	includes[obj.Name] = obj.Spec.Include
	seen := map[string]bool{}
	var follow func(way []string) []string
	follow = func(way []string) []string {
		for _, inc := range includes[way[len(way)-1]] {
			next := append(slices.Clone(way), inc.GitRepositoryRef.Name)
			if inc.GitRepositoryRef.Name == obj.Name {
				return next
			}
			if seen[inc.GitRepositoryRef.Name] {
				continue
			}
			seen[inc.GitRepositoryRef.Name] = true
			if loop := follow(next); loop != nil {
				return loop
			}
		}
		return nil
	}
	return follow([]string{obj.Name}), nil
}

// dependents implements follower: those that include obj.
func (d gitRepositories) dependents(ctx context.Context, obj client.Object) []client.ObjectKey {
	var all sourcev1.GitRepositoryList
	if err := d.cached.List(ctx, &all, client.InNamespace(obj.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var keys []client.ObjectKey
	for i := range all.Items {
		other := &all.Items[i]
		if slices.ContainsFunc(other.Spec.Include, func(inc sourcev1.GitRepositoryInclude) bool { return inc.GitRepositoryRef.Name == obj.GetName() }) {
			keys = append(keys, client.ObjectKeyFromObject(other))
		}
	}
	return keys
}
