package agent

import (
	"context"
	"fmt"
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

	"github.com/slipway-dev/slipway/internal/delivery/sources"
)

// installed tells early, and with what to do, that the cluster does not know the kinds without which the agent has nothing to do.
func installed(mapper apimeta.RESTMapper, opts Options) error {
	needed := []schema.GroupVersionKind{
		sourcev1.GroupVersion.WithKind(sourcev1.GitRepositoryKind),
		kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind),
	}
	if listens(opts.ReceiverAddress) {
		needed = append(needed, notificationv1.GroupVersion.WithKind(notificationv1.ReceiverKind))
	}
	for _, gvk := range needed {
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

// kinds serves the kinds of sources that the cluster knows, and each of the others as soon as it does: an older installation lacks some.
type kinds struct {
	mapper apimeta.RESTMapper
	log    logr.Logger
	// serve begins to reconcile and to watch a kind.
	serve func(sources.Kind) error
	// began is told of a kind that came later, so that what waited for it goes on.
	began func(ctx context.Context, kind string)

	mu      sync.Mutex
	lacking []sources.Kind
	again   chan struct{} // holds one, when something changed
}

// offer serves what the cluster knows of all.
func (k *kinds) offer(all ...sources.Kind) error {
	k.lacking, k.again = all, make(chan struct{}, 1)
	if _, err := k.serveKnown(); err != nil {
		return err
	}
	for _, kind := range k.lacking {
		k.log.Info(fmt.Sprintf("This cluster does not know the kind %s: it is not served. Install its custom resource definition with `slipway install`; "+
			"it is served as soon as it is there", kind.Name()))
	}
	return nil
}

// changed notes that a definition came, changed or went; any may have where it has no name. It does not block.
func (k *kinds) changed(name string) {
	if name != "" && !strings.HasSuffix(name, "."+sourcev1.GroupVersion.Group) {
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
		came, err := k.serveKnown()
		if err != nil { // the next change of a definition tries again
			k.log.Error(err, "Serve a kind of sources that came later")
		}
		for _, kind := range came {
			k.log.Info("This cluster knows the kind " + kind.Name() + " now: it is served from now on")
			k.began(ctx, kind.Name())
		}
	}
}

// serveKnown begins with those that the cluster knows by now, and returns them.
func (k *kinds) serveKnown() (came []sources.Kind, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lacking []sources.Kind
	for i, kind := range k.lacking {
		known, err := knows(k.mapper, sourcev1.GroupVersion.WithKind(kind.Name()))
		if err == nil && known {
			err = k.serve(kind)
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
