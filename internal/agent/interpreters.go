package agent

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/teach"
)

// taught serves the Interpreters of the cluster: what they say goes into the registry, before anything is judged. An agent that isn't allowed to
// read them goes on without. Without events they are only obeyed, and another process writes their status.
func taught(mgr manager.Manager, registry *interpret.Registry, events *kube.Recorder) served {
	teacher := teach.New(registry, events)
	return served{
		gvk: v1alpha1.GroupVersion.WithKind(v1alpha1.InterpreterKind),
		begin: func(ctx context.Context) error {
			err := reached(ctx, mgr.GetLogger(), func() error { return teacher.Load(ctx, mgr.GetAPIReader()) })
			if apierrors.IsForbidden(err) {
				mgr.GetLogger().Error(err, "Interpreters are not served: objects are judged by what comes with Slipway. "+
					"Allow the agent to get, list and watch them, as `slipway install` does, and restart it")
				return nil
			}
			if err != nil {
				return err
			}
			all, err := unselected(mgr)
			if err != nil {
				return err
			}
			if events == nil {
				return teacher.Keep(mgr, all)
			}
			return teacher.Setup(mgr, all)
		},
	}
}

// unselected is a cache of what holds for the whole cluster: the selector and the namespaces of the agent say what it delivers, and nothing of
// that.
func unselected(mgr manager.Manager) (cache.Cache, error) {
	all, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		DefaultTransform: cache.TransformStripManagedFields(), ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cache: %w", err)
	}
	if err := mgr.Add(started{all}); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return all, nil
}

// started has a cache started before anything that reads from it, on every replica.
type started struct{ cache.Cache }

// GetCache is how the manager knows a cache.
func (s started) GetCache() cache.Cache { return s.Cache }
