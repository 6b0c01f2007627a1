package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(sourcev1.AddToScheme(s))
	utilruntime.Must(kustomizev1.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// seen is what the status of a Kustomization says.
type seen struct {
	ready    bool // of the newest generation
	message  string
	revision string // that was applied last
	handled  string // the request that was answered last
	version  string
	at       time.Time
}

// tracker follows the status of all Kustomizations through one watch.
type tracker struct {
	client client.WithWatch
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	all     map[string]seen
	changed chan struct{}
}

func track(ctx context.Context, c client.WithWatch) *tracker {
	ctx, cancel := context.WithCancel(ctx)
	t := &tracker{client: c, cancel: cancel, done: make(chan struct{}), all: map[string]seen{}, changed: make(chan struct{})}
	go t.follow(ctx)
	return t
}

func (t *tracker) stop() {
	t.cancel()
	<-t.done
}

// follow watches until the context ends. A watch without a version begins with all there are, so that a new one misses nothing.
func (t *tracker) follow(ctx context.Context) {
	defer close(t.done)
	for ctx.Err() == nil {
		w, err := t.client.Watch(ctx, &kustomizev1.KustomizationList{}, client.InNamespace(fluxNamespace))
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		for event := range w.ResultChan() {
			if k, ok := event.Object.(*kustomizev1.Kustomization); ok {
				t.note(k)
			}
		}
	}
}

func (t *tracker) note(k *kustomizev1.Kustomization) {
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	s := seen{revision: k.Status.LastAppliedRevision, handled: k.Status.LastHandledReconcileAt, version: k.ResourceVersion, at: time.Now()}
	if ready != nil {
		s.ready, s.message = ready.Status == "True" && k.Status.ObservedGeneration == k.Generation, ready.Message
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[k.Name].version == s.version {
		return // seen before, by the watch before
	}
	t.all[k.Name] = s
	close(t.changed)
	t.changed = make(chan struct{})
}

// patience is how long an engine has for one measurement.
const patience = 20 * time.Minute

// unfinished is an engine that had all of patience and has not done what was asked.
type unfinished struct {
	count, n int
	example  string
}

func (e *unfinished) Error() string {
	return fmt.Sprintf("%d of %d Kustomizations are as wanted after %s (%s)", e.count, e.n, patience, e.example)
}

// await returns when n Kustomizations are as wanted, with the time of the last one's event; or an *unfinished.
func (t *tracker) await(ctx context.Context, n int, wanted func(name string, s seen) bool) (time.Time, error) {
	all := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		t.mu.Lock()
		count, last := 0, time.Time{}
		var example string
		for name, s := range t.all {
			if !wanted(name, s) {
				example = name + ": " + s.message
				continue
			}
			count++
			if s.at.After(last) {
				last = s.at
			}
		}
		changed := t.changed
		t.mu.Unlock()
		if count >= n {
			return last, nil
		}
		select {
		case <-changed:
			pause(ctx, 20*time.Millisecond) // a thousand events are not a thousand counts
		case <-ctx.Done():
			if all.Err() != nil {
				return last, all.Err()
			}
			return last, &unfinished{count, n, strings.TrimSpace(example)}
		}
	}
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func isReady(_ string, s seen) bool { return s.ready }
