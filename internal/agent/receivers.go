package agent

import (
	"context"
	"fmt"

	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/internal/delivery/receiver"
	"github.com/slipway-dev/slipway/internal/kube"
)

// setUpReceivers registers what receives webhooks, if the agent is told where to listen.
func setUpReceivers(ctx context.Context, mgr manager.Manager, clients *kube.Clients, core typedcorev1.EventsGetter, opts Options) error {
	if !listens(opts.ReceiverAddress) {
		return nil
	}
	events := kube.NewRecorder(core, mgr.GetScheme(), "notification-controller")
	receivers, err := receiver.Setup(ctx, mgr, clients, events, receiver.Options{NoCrossNamespaceRefs: opts.Kustomizations.NoCrossNamespaceRefs})
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
