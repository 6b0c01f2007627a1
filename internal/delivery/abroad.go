package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// attemptAbroad bounds one look at a Kustomization of a remote cluster. It is far more than a cluster needs that answers.
const attemptAbroad = 3 * time.Minute

// errSlow is why an attempt at a remote cluster was broken off.
var errSlow = fmt.Errorf("the remote cluster did not answer all requests within %s", attemptAbroad)

// homeKey is where the context is kept that ends with the agent only.
type homeKey struct{}

// abroad bounds what follows, up to but not including what home is used for.
func abroad(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithValue(ctx, homeKey{}, ctx), attemptAbroad, errSlow)
}

// home is the context for what is said in the agent's own cluster, such as that a remote one takes too long.
func home(ctx context.Context) context.Context {
	if own, ok := ctx.Value(homeKey{}).(context.Context); ok {
		return own
	}
	return ctx
}

// visit gives obj a seat and a bounded context to work with if it is for a remote cluster; ok is false if there is no seat for it now.
func (r *KustomizationReconciler) visit(ctx context.Context, obj *kustomizev1.Kustomization, e *entry) (_ context.Context, leave func(), ok bool) {
	if kc := obj.Spec.KubeConfig; kc == nil || kc.SecretRef == nil {
		r.seats.pass(client.ObjectKeyFromObject(obj))
		return ctx, func() {}, true
	}
	up, ok := r.seats.take(client.ObjectKeyFromObject(obj), kubeconfigOf(obj))
	if !ok {
		return nil, nil, false
	}
	ctx, cancel := abroad(ctx)
	return ctx, func() {
		if to := e.target; to != nil && to.remote != nil && errors.Is(context.Cause(ctx), errSlow) {
			to.remote.guard.Overdue(errSlow)
		}
		cancel()
		up()
	}, true
}
