package simulate

import (
	"context"
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

const (
	// leaseSeconds is how long a node counts as alive after its last sign; the
	// kubelet's own default.
	leaseSeconds = 40
	// holder names this process in the nodes' leases. It is the same after a
	// restart, which therefore need not wait for the leases to run out.
	holder = "slipway-lab-kwok"
	// parallelism is how many pods, nodes or leases are written at a time.
	parallelism = 4
	// nodeIP is every simulated node's address: one that nobody may have
	// (RFC 5737), because nothing answers there.
	nodeIP = "192.0.2.1"
)

// Options says what to simulate.
type Options struct {
	// Nodes is how many nodes to create where they are missing; 0 creates none
	// and only keeps those alive that carry NodeAnnotation.
	Nodes int
	// Prefix starts the created nodes' names: PREFIX-0, PREFIX-1, …
	Prefix string
	// PodCIDR is the range that pods' addresses are taken from.
	PodCIDR string
}

// Run creates the nodes and keeps them and their pods Ready until ctx ends,
// which is not an error.
func Run(ctx context.Context, kubeconfig string, opts Options) error {
	if opts.Nodes < 0 || opts.Prefix == "" {
		return errors.New("simulate: the number of nodes must not be negative and their prefix not empty")
	}
	ctx = log.NewContext(ctx, log.NewLogger(os.Stderr, log.LevelWarn))
	conf, typed, err := controllerConfig(kubeconfig)
	if err != nil {
		return err
	}
	if err := ensureNodes(ctx, typed, opts.Prefix, opts.Nodes); err != nil {
		return err
	}
	conf.CIDR = opts.PodCIDR
	ctr, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("configure kwok: %w", err)
	}
	if err := ctr.Start(ctx); err != nil {
		return fmt.Errorf("start kwok: %w", err)
	}
	<-ctx.Done()
	return nil
}

func controllerConfig(kubeconfig string) (controllers.Config, kubernetes.Interface, error) {
	none := controllers.Config{}
	clients, err := client.NewClientset("", kubeconfig)
	if err != nil {
		return none, nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	restConfig, err := clients.ToRESTConfig()
	if err != nil {
		return none, nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	dynamic, err := clients.ToDynamicClient()
	if err != nil {
		return none, nil, fmt.Errorf("make a client: %w", err)
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return none, nil, fmt.Errorf("discover the cluster's kinds: %w", err)
	}
	raw, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return none, nil, fmt.Errorf("make a client: %w", err)
	}
	typed, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return none, nil, fmt.Errorf("make a client: %w", err)
	}
	stages, err := stages()
	if err != nil {
		return none, nil, err
	}
	return controllers.Config{
		Clock:                             clock.RealClock{},
		DynamicClient:                     dynamic,
		RESTClient:                        raw,
		RESTMapper:                        mapper,
		TypedClient:                       typed,
		ImpersonatingDynamicClient:        clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          clients.ToImpersonatingTypedClient(),
		ManageNodesWithAnnotationSelector: NodeAnnotation + "=" + NodeAnnotationValue,
		NodeIP:                            nodeIP,
		LocalStages:                       stages,
		PodPlayStageParallelism:           parallelism,
		NodePlayStageParallelism:          parallelism,
		NodeLeaseParallelism:              parallelism,
		PodsOnNodeSyncParallelism:         1,
		NodeLeaseDurationSeconds:          leaseSeconds,
		ID:                                holder,
	}, typed, nil
}

// stages are the steps of a node's and a pod's life, as kwok ships them: no
// delays, nothing fails, and a Job's pods are done as soon as they run.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	byKind := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range []string{
		fast.DefaultNodeInit,
		heartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodComplete,
		podfast.DefaultPodDelete,
	} {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("read kwok's stages: %w", err)
		}
		byKind[stage.Spec.ResourceRef] = append(byKind[stage.Spec.ResourceRef], stage)
	}
	return byKind, nil
}
