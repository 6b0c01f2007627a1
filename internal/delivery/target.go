package delivery

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// What a target needs of the layers below.
type (
	applier interface {
		Apply(ctx context.Context, objs []*unstructured.Unstructured, opts apply.Options) (*apply.Result, error)
		Prune(ctx context.Context, refs []kube.Ref, opts apply.Options) ([]apply.Change, error)
		InSync(owner apply.Owner, ref kube.Ref) bool
		Drifted(owner apply.Owner, ref kube.Ref) bool
		Mode(owner apply.Owner, ref kube.Ref) observe.Mode
		Forget(owner apply.Owner, refs ...kube.Ref)
	}
	watcher interface {
		Ensure(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error)
		EnsureNamed(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error)
		EnsureInputs(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error)
		Get(ref kube.Ref) (state observe.State, exists, watched bool)
		GetNamed(id kube.Identity, ref kube.Ref) (state observe.State, exists, watched bool)
		Subscribe(fn func(observe.Event))
	}
)

// target is a cluster that objects are applied to: the agent's own, or one that a kubeconfig leads to. The Kustomizations themselves, their
// status and their events stay in the agent's own.
type target struct {
	clients *kube.Clients
	applier applier
	watcher watcher
	remote  *remote // nil: the agent's own
}

// leave drops what the target's parts know of a Kustomization and the objects that it followed.
func (to *target) leave(key types.NamespacedName, refs []kube.Ref) {
	to.applier.Forget(ownerOf(key), refs...)
	// Letting go of watches can't fail.
	_, _ = to.watcher.Ensure(context.Background(), key.String(), kube.Identity{}, nil)
	_, _ = to.watcher.EnsureNamed(context.Background(), key.String(), kube.Identity{}, nil)
}
