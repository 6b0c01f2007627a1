package agent

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/internal/delivery/receiver"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/kube"
)

// setUpReceivers registers what receives webhooks, if the agent is told where to listen.
func setUpReceivers(
	ctx context.Context, mgr manager.Manager, clients *kube.Clients, core typedcorev1.EventsGetter, fetchers *sources.Sources, opts Options,
) error {
	if !listens(opts.ReceiverAddress) {
		return nil
	}
	events := kube.NewRecorder(core, mgr.GetScheme(), "notification-controller")
	receivers, err := receiver.Setup(ctx, mgr, clients, events, receiver.Options{
		NoCrossNamespaceRefs: opts.Kustomizations.NoCrossNamespaceRefs, Wake: whileLeading(mgr, fetchers.Hurry),
	})
	if err != nil {
		return err
	}
	for _, r := range []manager.Runnable{
		everywhere(events.Start), // standbys answer webhooks too
		serving(opts.ReceiverAddress, "webhooks", receiver.MaxConnections, receiver.Server(receivers)),
	} {
		if err := mgr.Add(r); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	return nil
}

// whileLeading wakes what this process serves only while it is the one that leads: a standby asks the leader through the API server.
func whileLeading(mgr manager.Manager, wake receiver.Waker) receiver.Waker {
	return func(ctx context.Context, kind string, key types.NamespacedName) bool {
		select {
		case <-mgr.Elected():
			return wake(ctx, kind, key)
		default:
			return false
		}
	}
}
