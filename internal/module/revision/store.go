package revision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// LabelModule names the module of a ModuleRevision.
const LabelModule = "slipway.dev/module"

// ErrTaken is returned where a revision of that name is there already, and is another one.
var ErrTaken = errors.New("there is another revision of that name")

// Revision is a ModuleRevision with what it names.
type Revision struct {
	Object *v1alpha1.ModuleRevision
	Steps  []Step
	// Before is how objects were that the plan found in the cluster and that were no revision's.
	Before []*unstructured.Unstructured
}

// Store keeps revisions. It is safe for concurrent use. The client must not read from a cache: what was written has to be seen at once,
// and Secrets are too many to be kept.
type Store struct {
	client    client.Client
	namespace string
	now       func() time.Time

	// mu keeps Collect from deleting content that Save has found there, and is about to name.
	mu sync.RWMutex
	// packers are *gzip.Writer.
	packers sync.Pool
	swept   time.Time // guarded by mu
}

// NewStore returns a store whose Secrets are in a namespace: the agent's.
func NewStore(c client.Client, namespace string) *Store {
	return &Store{client: c, namespace: namespace, now: time.Now}
}

// Name is how the revision of a module with a number is called.
func Name(module string, number int64) string { return fmt.Sprintf("%s-%d", module, number) }

// Save stores a revision: first the content, then the ModuleRevision that names it, so that what a revision names is there. rev needs
// its name and a spec without digest, steps, before and plan, which are filled in. It may be done twice; where another revision has the
// name, the error is [ErrTaken].
func (s *Store) Save(ctx context.Context, rev *v1alpha1.ModuleRevision, steps []Step, before []*unstructured.Unstructured, plan []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.fill(ctx, rev, steps, before, plan); err != nil {
		return fmt.Errorf("store revision %s: %w", rev.Name, err)
	}
	if rev.Labels == nil {
		rev.Labels = map[string]string{}
	}
	rev.Labels[LabelModule] = rev.Spec.Module
	want := rev.Spec.DeepCopy()
	err := s.client.Create(ctx, rev)
	if apierrors.IsAlreadyExists(err) {
		if err = s.client.Get(ctx, client.ObjectKeyFromObject(rev), rev); err == nil && !apiequality.Semantic.DeepEqual(rev.Spec, *want) {
			err = ErrTaken
		}
	}
	if err != nil {
		return fmt.Errorf("store revision %s: %w", rev.Name, err)
	}
	return nil
}

// fill stores the content of a revision, and names it there.
func (s *Store) fill(ctx context.Context, rev *v1alpha1.ModuleRevision, steps []Step, before []*unstructured.Unstructured, plan []byte) (err error) {
	rev.Spec.Digest = Digest(steps)
	rev.Spec.Steps, rev.Spec.Before = []v1alpha1.StepContent{}, nil
	for _, step := range steps {
		refs, err := s.putObjects(ctx, step.Objects)
		if err != nil {
			return fmt.Errorf("step %s: %w", step.Name, err)
		}
		rev.Spec.Steps = append(rev.Spec.Steps, v1alpha1.StepContent{
			Name: step.Name, Objects: int32(len(step.Objects)), Content: refs, //nolint:gosec // nobody renders 2³¹ objects
		})
	}
	if len(before) > 0 {
		if rev.Spec.Before, err = s.putObjects(ctx, before); err != nil {
			return fmt.Errorf("objects as they were before: %w", err)
		}
	}
	if rev.Spec.Plan, err = s.Put(ctx, plan); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// Load reads a revision with all that it names. One whose objects aren't those of its digest is [ErrCorrupt].
func (s *Store) Load(ctx context.Context, name string) (*Revision, error) {
	r := &Revision{Object: &v1alpha1.ModuleRevision{}}
	if err := s.client.Get(ctx, client.ObjectKey{Name: name}, r.Object); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", name, err)
	}
	for _, step := range r.Object.Spec.Steps {
		objects, err := s.getObjects(ctx, step.Content)
		if err != nil {
			return nil, fmt.Errorf("read step %s of revision %s: %w", step.Name, name, err)
		}
		r.Steps = append(r.Steps, Step{Name: step.Name, Objects: objects})
	}
	if Digest(r.Steps) != r.Object.Spec.Digest {
		return nil, fmt.Errorf("read revision %s: %w", name, ErrCorrupt)
	}
	var err error
	if r.Before, err = s.getObjects(ctx, r.Object.Spec.Before); err != nil {
		return nil, fmt.Errorf("read what was there before revision %s: %w", name, err)
	}
	return r, nil
}

// List returns the revisions of a module, the latest first, without what they name.
func (s *Store) List(ctx context.Context, module string) ([]v1alpha1.ModuleRevision, error) {
	list := &v1alpha1.ModuleRevisionList{}
	if err := s.client.List(ctx, list, client.MatchingLabels{LabelModule: module}); err != nil {
		return nil, fmt.Errorf("list revisions of %s: %w", module, err)
	}
	items := slices.DeleteFunc(list.Items, func(r v1alpha1.ModuleRevision) bool { return r.Spec.Module != module })
	slices.SortFunc(items, func(a, b v1alpha1.ModuleRevision) int { return cmp.Compare(b.Spec.Number, a.Spec.Number) })
	return items, nil
}
