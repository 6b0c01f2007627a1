package agent

import (
	"fmt"

	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
)

// standAside returns what keeps the agent away from objects that Flux's controllers work on; nil where a selector says which are the
// agent's own.
func standAside(mgr manager.Manager, opts Options) (*aside.Gate, error) {
	if opts.Selector != nil && !opts.Selector.Empty() {
		return nil, nil
	}
	client, err := typedcoordinationv1.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("prepare to look for Flux's controllers: %w", err)
	}
	gate := aside.New(client, opts.FluxNamespaces, opts.Log.WithName("aside"), metrics.Registry)
	if err := mgr.Add(leading(gate.Run)); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return gate, nil
}
