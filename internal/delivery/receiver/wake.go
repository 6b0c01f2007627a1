package receiver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// maxMatched bounds the objects that one webhook may wake by labels; of more, the first ones in the API server's order are.
	maxMatched = 1000
	// wakeAtOnce is how many objects one webhook wakes at once.
	wakeAtOnce = 8
)

// outcome is what one webhook did.
type outcome struct {
	woken   []string // as KIND/NAMESPACE/NAME
	passed  int      // which the filter didn't admit
	missing []string // which don't exist
	filter  error    // of an expression that can't be evaluated
	err     error    // of the API server
}

// target is an object that a webhook may be for.
type target struct {
	gvk schema.GroupVersionKind
	key types.NamespacedName
}

func (t target) String() string { return t.gvk.Kind + "/" + t.key.String() }

// wake wakes what the Receiver names and its filters admit, given the body of the webhook.
func (c *call) wake(ctx context.Context, payload map[string]any) outcome {
	w := &waking{call: c, payload: payload, seen: map[target]bool{}}
	w.group.SetLimit(wakeAtOnce)
	for _, resource := range c.obj.Spec.Resources {
		if err := w.resource(ctx, resource); err != nil {
			w.fail(err)
		}
	}
	_ = w.group.Wait() // what failed is in out
	slices.Sort(w.out.woken)
	slices.Sort(w.out.missing)
	return w.out
}

// waking is what one webhook does.
type waking struct {
	*call
	payload map[string]any
	seen    map[target]bool
	group   errgroup.Group

	mu  sync.Mutex
	out outcome
}

func (w *waking) note(f func(*outcome)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.out)
}

func (w *waking) fail(err error) { w.note(func(o *outcome) { o.err = errors.Join(o.err, err) }) }

// resource wakes what one of spec.resources means.
func (w *waking) resource(ctx context.Context, resource apiv1.ReceiverResource) error {
	gvk, err := kindOf(resource)
	if err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: namespaceOf(w.obj, resource), Name: resource.Name}
	if w.opts.NoCrossNamespaceRefs && key.Namespace != w.obj.Namespace {
		return fmt.Errorf("cross-namespace references have been blocked: %s/%s", gvk.Kind, key)
	}
	all, err := w.filters.compile(w.obj.Spec.ResourceFilter)
	if err != nil {
		return err
	}
	one, err := w.filters.compile(resource.Filter)
	if err != nil {
		return err
	}
	if all == nil && one == nil && resource.Name != everyName {
		w.start(ctx, target{gvk, key})
		return nil
	}
	found, err := w.read(ctx, target{gvk, key}, resource.MatchLabels)
	if isMissing(err) {
		w.note(func(o *outcome) { o.missing = append(o.missing, target{gvk, key}.String()) })
		return nil
	}
	if err != nil {
		return err
	}
	for i := range found {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("filters took too long, %d of %d %s were looked at: %w", i, len(found), gvk.Kind, err)
		}
		w.consider(ctx, gvk, &found[i], all, one)
	}
	return nil
}

// consider wakes an object if the filters admit it.
func (w *waking) consider(ctx context.Context, gvk schema.GroupVersionKind, obj *metav1.PartialObjectMetadata, filters ...*filter) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		w.fail(err)
		return
	}
	for _, f := range filters {
		admitted, err := f.admits(ctx, w.payload, fields)
		if err != nil {
			w.note(func(o *outcome) { o.filter = err })
			return
		}
		if !admitted {
			w.note(func(o *outcome) { o.passed++ })
			return
		}
	}
	w.start(ctx, target{gvk, types.NamespacedName{Namespace: obj.Namespace, Name: obj.Name}})
}

// start wakes an object, once in a webhook.
func (w *waking) start(ctx context.Context, t target) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	if w.opts.Wake(ctx, t.gvk.Kind, t.key) {
		w.note(func(o *outcome) { o.woken = append(o.woken, t.String()) })
		return
	}
	w.group.Go(func() error {
		err := w.rounds.do(t.String(), func() error { return w.annotate(ctx, t) })
		switch {
		case isMissing(err):
			w.note(func(o *outcome) { o.missing = append(o.missing, t.String()) })
		case err != nil:
			w.fail(fmt.Errorf("ask for %s: %w", t, err))
		default:
			w.note(func(o *outcome) { o.woken = append(o.woken, t.String()) })
		}
		return nil
	})
}

// isMissing tells whether an object, or its kind, is not in the cluster.
func isMissing(err error) bool { return apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err) }

// read returns the metadata of one object, or of those with the labels.
func (w *waking) read(ctx context.Context, t target, matching map[string]string) ([]metav1.PartialObjectMetadata, error) {
	api, gvk, err := w.api(t)
	if err != nil {
		return nil, err
	}
	var found []metav1.PartialObjectMetadata
	if t.key.Name == everyName {
		list, err := api.List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(matching).String(), Limit: maxMatched})
		if err != nil {
			return nil, fmt.Errorf("list %s in namespace %s: %w", t.gvk.Kind, t.key.Namespace, err)
		}
		found = list.Items
	} else {
		obj, err := api.Get(ctx, t.key.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", t, err)
		}
		found = append(found, *obj)
	}
	for i := range found {
		found[i].SetGroupVersionKind(gvk)
		found[i].ManagedFields = nil
	}
	return found, nil
}

// annotate asks whoever reconciles an object to do so now.
func (w *waking) annotate(ctx context.Context, t target) error {
	api, _, err := w.api(t)
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, w.opts.Clock.Now().Format(time.RFC3339Nano))
	_, err = api.Patch(ctx, t.key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: string(fieldManager)})
	return err
}

func (w *waking) api(t target) (metadata.ResourceInterface, schema.GroupVersionKind, error) {
	cl, err := w.clients.For(kube.Identity{})
	if err != nil {
		return nil, t.gvk, err
	}
	mapping, err := w.clients.Mapping(t.gvk.GroupKind(), t.gvk.Version)
	if err != nil {
		return nil, t.gvk, err
	}
	return cl.Metadata.Resource(mapping.Resource).Namespace(t.key.Namespace), mapping.GroupVersionKind, nil
}
