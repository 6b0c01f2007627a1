package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
)

// needed are the kinds without which the agent has nothing to do.
func (o Options) needed() []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{
		sourcev1.GroupVersion.WithKind(sourcev1.GitRepositoryKind),
		kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind),
	}
	if listens(o.ReceiverAddress) {
		kinds = append(kinds, notificationv1.GroupVersion.WithKind(notificationv1.ReceiverKind))
	}
	return kinds
}

// installed tells early, and with what to do, that the cluster does not know a kind without which the agent has nothing to do.
func installed(mapper apimeta.RESTMapper, opts Options) error {
	for _, gvk := range opts.needed() {
		known, err := knows(mapper, gvk)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("the cluster does not know %s.%s; install the custom resource definitions with `slipway install`", gvk.Kind, gvk.Group)
		}
	}
	return nil
}

func knows(mapper apimeta.RESTMapper, gvk schema.GroupVersionKind) (bool, error) {
	_, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if apimeta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether the cluster serves %s: %w", gvk.Kind, err)
	}
	return true, nil
}

// served is a kind that the agent serves as soon as the cluster knows it: an older installation lacks some.
type served struct {
	gvk schema.GroupVersionKind
	// begin begins to reconcile and to watch the kind.
	begin func(context.Context) error
	// came is told of a kind that came later than the agent, so that what waited for it goes on. Nil: nothing does.
	came func(context.Context)
}

// kinds serves the kinds that the cluster knows, and each of the others as soon as it does.
type kinds struct {
	mapper apimeta.RESTMapper
	log    logr.Logger

	mu      sync.Mutex
	lacking []served
	groups  map[string]bool
	again   chan struct{} // holds one, when something changed
}

// offer serves what the cluster knows of all.
func (k *kinds) offer(ctx context.Context, all ...served) error {
	k.lacking, k.groups, k.again = all, map[string]bool{}, make(chan struct{}, 1)
	for _, kind := range all {
		k.groups[kind.gvk.Group] = true
	}
	if _, err := k.serveKnown(ctx); err != nil {
		return err
	}
	for _, kind := range k.lacking {
		k.log.Info(fmt.Sprintf("This cluster does not know the kind %s: it is not served. Install its custom resource definition with `slipway install`; "+
			"it is served as soon as it is there", kind.gvk.Kind))
	}
	return nil
}

// changed notes that a definition came, changed or went; any may have where it has no name. It does not block.
func (k *kinds) changed(name string) {
	if _, group, _ := strings.Cut(name, "."); name != "" && !k.groups[group] {
		return
	}
	select {
	case k.again <- struct{}{}:
	default:
	}
}

// settling is when to look after a definition changed: the API server serves a kind a moment after it says so.
func settling() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Steps: 5}
}

// run looks for kinds that came until ctx ends. It is a part of the agent.
func (k *kinds) run(ctx context.Context) error {
	k.changed("") // before this replica led, nobody looked
	var (
		pauses wait.Backoff
		later  <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.again:
			pauses = settling()
		case <-later:
		}
		if later = nil; pauses.Steps > 0 {
			later = time.After(pauses.Step())
		}
		came, err := k.serveKnown(ctx)
		if err != nil { // the next change of a definition tries again
			k.log.Error(err, "Serve a kind that came later")
		}
		for _, kind := range came {
			k.log.Info("This cluster knows the kind " + kind.gvk.Kind + " now: it is served from now on")
			if kind.came != nil {
				kind.came(ctx)
			}
		}
	}
}

// serveKnown begins with those that the cluster knows by now, and returns them.
func (k *kinds) serveKnown(ctx context.Context) (came []served, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lacking []served
	for i, kind := range k.lacking {
		known, err := knows(k.mapper, kind.gvk)
		if err == nil && known {
			err = kind.begin(ctx)
		}
		switch {
		case err != nil:
			k.lacking = append(lacking, k.lacking[i:]...)
			return came, err
		case known:
			came = append(came, kind)
		default:
			lacking = append(lacking, kind)
		}
	}
	k.lacking = lacking
	return came, nil
}

// lacks names the kinds of these groups that aren't served, as the cluster doesn't know them.
func (k *kinds) lacks(groups ...string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, kind := range k.lacking {
		if slices.Contains(groups, kind.gvk.Group) {
			names = append(names, kind.gvk.Kind)
		}
	}
	return names
}
