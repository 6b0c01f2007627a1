package revision

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// sweepEvery is how long content is left that nobody names, besides young: to find it is a list of all modules' content.
const sweepEvery = 10 * time.Minute

// young is how long content may be there without a name: what stores a plan names it a moment later.
const young = time.Hour

// Collect deletes of a module's revisions, as List returns them, all but the latest keep ones that were settled (archived or rejected) and those
// that are named, and then the content that nobody names any more.
func (s *Store) Collect(ctx context.Context, all []v1alpha1.ModuleRevision, keep int, named ...string) error {
	for _, r := range surplus(all, keep, named) {
		if err := s.client.Delete(ctx, &r, client.Preconditions{UID: &r.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete revision %s: %w", r.Name, err)
		}
	}
	return s.sweep(ctx)
}

// surplus returns the revisions that nobody needs. Those that were stored, and whose attempt never began, are always among them.
func surplus(all []v1alpha1.ModuleRevision, keep int, named []string) []v1alpha1.ModuleRevision {
	var out []v1alpha1.ModuleRevision
	for _, r := range all {
		settled := r.Status.State == v1alpha1.RevisionArchived || r.Status.State == v1alpha1.RevisionRejected
		switch {
		case slices.Contains(named, r.Name):
		case settled && keep > 0:
			keep--
		default:
			out = append(out, r)
		}
	}
	return out
}

// sweep deletes content that neither a revision nor a module names.
func (s *Store) sweep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.swept) < sweepEvery {
		return nil
	}
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := s.client.List(ctx, secrets, client.InNamespace(s.namespace), client.HasLabels{LabelContent}); err != nil {
		return fmt.Errorf("list content: %w", err)
	}
	old := slices.DeleteFunc(secrets.Items, func(o metav1.PartialObjectMetadata) bool {
		return now.Sub(o.CreationTimestamp.Time) < young
	})
	if len(old) == 0 {
		s.swept = now
		return nil
	}
	names, err := s.namedContent(ctx)
	if err != nil {
		return err
	}
	for _, o := range old {
		if names[o.Name] {
			continue
		}
		if err := s.client.Delete(ctx, &o, client.Preconditions{UID: &o.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete content %s: %w", o.Name, err)
		}
	}
	s.swept = now
	return nil
}

// namedContent returns the names of the Secrets that somebody needs.
func (s *Store) namedContent(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	revisions := &v1alpha1.ModuleRevisionList{}
	if err := s.client.List(ctx, revisions); err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	for _, r := range revisions.Items {
		names[r.Spec.Plan.Secret] = true
		for _, ref := range r.Spec.Before {
			names[ref.Secret] = true
		}
		for _, step := range r.Spec.Steps {
			for _, ref := range step.Content {
				names[ref.Secret] = true
			}
		}
	}
	modules := &v1alpha1.ModuleList{}
	if err := s.client.List(ctx, modules); err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	for _, m := range modules.Items {
		if m.Status.Plan != nil && m.Status.Plan.Content != nil {
			names[m.Status.Plan.Content.Secret] = true
		}
	}
	return names, nil
}
