package sources

import (
	"context"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

// measured is the name under which what happens to a source is counted.
func (r *reconciler[T]) measured(key types.NamespacedName) telemetry.Object {
	return telemetry.Object{Kind: r.kind, Namespace: key.Namespace, Name: key.Name}
}

// landed has a source looked at whose fetch has ended.
func (r *reconciler[T]) landed(key types.NamespacedName) {
	r.opts.Telemetry.Woke(r.measured(key), telemetry.Fetched)
	r.queue.Wake(key)
}

// measuredFetch is fetch as a run of its own.
func (t *task[T]) measuredFetch(ctx context.Context, revision string) (got fetched[T], err error) {
	previous := t.polls.newest(t.key())
	fetch := func(ctx context.Context) (telemetry.Artifact, error) {
		if got, err = t.fetch(ctx, revision); err != nil {
			return telemetry.Artifact{}, err
		}
		digest := got.snapshot.Digest()
		return telemetry.Artifact{Revision: got.snapshot.Revision(), Digest: digest, Changed: digest != previous}, nil
	}
	t.opts.Telemetry.Fetching(ctx, t.measured(t.key()), fetch)
	return got, err
}

// resources tells the state of all sources of the kind.
func (r *reconciler[T]) resources(s *telemetry.Scrape) {
	list := r.driver.list()
	if err := r.client.List(context.Background(), list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.Log.Error(err, "list sources for metrics", "kind", r.kind)
		return
	}
	_ = apimeta.EachListItem(list, func(item runtime.Object) error {
		obj := item.(T) //nolint:forcetypeassert // the driver's list holds the driver's objects
		f := r.driver.fields(obj)
		res := telemetry.Resource{
			Object: r.measured(client.ObjectKeyFromObject(obj)), Group: sourcev1.GroupVersion.Group, Version: sourcev1.GroupVersion.Version,
			Suspended: f.suspend, Managed: -1,
		}
		if ready := apimeta.FindStatusCondition(*f.conditions, meta.ReadyCondition); ready != nil {
			res.Ready, res.Reason = string(ready.Status), ready.Reason
		}
		if *f.artifact != nil {
			res.Revision = (*f.artifact).Revision
		}
		s.Resource(res)
		return nil
	})
}
