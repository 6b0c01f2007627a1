package labtest

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/slipway/internal/lab/addon"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/program"
	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// startSimulated starts a control plane and what makes its workloads ready.
func startSimulated() (*tethered.Plane, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cache, err := program.NewCache()
	if err != nil {
		return nil, err
	}
	addons, err := cache.Get(ctx, program.Addons())
	if err != nil {
		return nil, err
	}
	programs, err := tethered.FindPrograms(ctx)
	if err != nil {
		return nil, err
	}
	if err := programs.WithControllers(ctx); err != nil {
		return nil, err
	}
	p, err := tethered.Start(ctx, programs, tethered.Options{})
	if err != nil {
		return nil, err
	}
	if err := simulate(ctx, p, addons); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func simulate(ctx context.Context, p *tethered.Plane, addons string) error {
	set := &addon.Set{Plane: &p.Plane, Program: addons, SimulatedNodes: 1}
	if err := set.Prepare(); err != nil {
		return err
	}
	if err := p.Run(ctx, control.ControllerManager, control.Scheduler); err != nil {
		return err
	}
	command, err := set.Command(addon.Kwok)
	if err != nil {
		return err
	}
	return p.RunBeside(ctx, addon.Kwok, command, func(ctx context.Context) error { return nodeReady(ctx, p) })
}

// nodeReady returns nil when the API server knows of a node that is ready, so that pods find a place at once.
func nodeReady(ctx context.Context, p *tethered.Plane) error {
	config, err := p.Config()
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	nodes, err := clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
	}
	return fmt.Errorf("none of %d nodes is ready", len(nodes.Items))
}
