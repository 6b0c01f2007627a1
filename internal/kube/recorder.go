package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const (
	// repeatEvery is how often an event that keeps happening is written again, as a higher count on the one Event that
	// tells of it. In between repeats cost nothing.
	repeatEvery = 5 * time.Minute
	// rememberEvents bounds the memory for telling repeats; what falls out becomes an Event of its own again.
	rememberEvents = 4096
	// pendingEvents bounds what waits to be written. When an API server is away for long, further events are dropped.
	pendingEvents = 4096
	// pausePerWrite is how long the recorder rests after a write, in times what that took, between shortestPause and longestPause: an API
	// server that is busy with a thousand objects that change at once takes long, and hears of the events when that is over. Who has
	// written nothing for a while doesn't wait. Warnings don't wait for that, only shortestPause after each other.
	pausePerWrite = 10
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
	// maxEventMessage is in bytes; the list of changes of a large set is cut there.
	maxEventMessage = 8 << 10
	// writeTimeout bounds each write, and all that is left to write at the end.
	writeTimeout = 10 * time.Second
)

// Recorder writes core/v1 Events as Flux's controllers do, with what goes with them (revision, commit, …) in annotations under
// the API group of the object. Recording never blocks; Start writes.
type Recorder struct {
	events    typedcorev1.EventsGetter
	scheme    *runtime.Scheme
	component string
	now       func() time.Time
	queue     chan *corev1.Event
	warnings  chan *corev1.Event // which wait for nothing but each other

	mu   sync.Mutex
	seen *lru.Cache // of string → *repeat
}

// repeat is the memory of an event that was recorded.
type repeat struct {
	namespace, name string
	count           int32
	written         time.Time
}

// NewRecorder returns a recorder that writes as component, such as "kustomize-controller". The scheme tells the kind of objects.
func NewRecorder(events typedcorev1.EventsGetter, scheme *runtime.Scheme, component string) *Recorder {
	return &Recorder{
		events: events, scheme: scheme, component: component, now: time.Now,
		queue: make(chan *corev1.Event, pendingEvents), warnings: make(chan *corev1.Event, pendingEvents),
		seen: lru.New(rememberEvents),
	}
}

// WithClock makes the recorder take the time from now.
func (r *Recorder) WithClock(now func() time.Time) *Recorder {
	r.now = now
	return r
}

// Event records that something happened to an object. Keys of details without a "/" are put under the object's API group:
// "revision" becomes "kustomize.toolkit.fluxcd.io/revision". The same event again within five minutes only counts; after
// that it raises the count of the Event written before.
func (r *Recorder) Event(obj client.Object, details map[string]string, warning bool, reason, message string) {
	eventType := corev1.EventTypeNormal
	if warning {
		eventType = corev1.EventTypeWarning
	}
	e, err := r.event(obj, eventType, reason, message, details)
	if err != nil {
		klog.ErrorS(err, "Event not recorded", "reason", reason)
		return
	}
	if e = r.fold(e); e == nil {
		return
	}
	queue := r.queue
	if warning {
		queue = r.warnings
	}
	select {
	case queue <- e:
	default:
		klog.InfoS("Event dropped: too many are waiting for the API server", "object", klog.KObj(obj), "reason", reason)
	}
}

// Tell records an event, and logs what it tells in the same words.
func (r *Recorder) Tell(log logr.Logger, obj client.Object, details map[string]string, warning bool, reason, message string) {
	values := []any{"reason", reason}
	for _, key := range slices.Sorted(maps.Keys(details)) {
		values = append(values, key, details[key])
	}
	if warning {
		log.Error(errors.New(message), "Reconciliation failed", values...)
	} else {
		log.Info(message, values...)
	}
	r.Event(obj, details, warning, reason, message)
}

func (r *Recorder) event(obj client.Object, eventType, reason, message string, details map[string]string) (*corev1.Event, error) {
	gvk, err := apiutil.GVKForObject(obj, r.scheme)
	if err != nil {
		return nil, fmt.Errorf("tell the kind of an event's object: %w", err)
	}
	now := metav1.NewTime(r.now())
	namespace := obj.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("%s.%x", obj.GetName(), now.UnixNano()),
			Namespace:   namespace,
			Annotations: annotations(gvk.Group, details),
		},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind,
			Namespace: obj.GetNamespace(), Name: obj.GetName(),
			UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
		},
		Type: eventType, Reason: reason, Message: Cut(message, maxEventMessage),
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source:              corev1.EventSource{Component: r.component},
		ReportingController: r.component,
	}, nil
}

func annotations(group string, details map[string]string) map[string]string {
	if len(details) == 0 {
		return nil
	}
	out := make(map[string]string, len(details))
	for k, v := range details {
		if !strings.Contains(k, "/") {
			k = group + "/" + k
		}
		out[k] = v
	}
	return out
}

// fold returns the event to write: the event itself when it is new, one with a higher count when it repeats an old one, nil when
// it repeats a recent one.
func (r *Recorder) fold(e *corev1.Event) *corev1.Event {
	key := identity(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.seen.Get(key)
	if !ok {
		r.seen.Add(key, &repeat{namespace: e.Namespace, name: e.Name, count: 1, written: r.now()})
		return e
	}
	old := known.(*repeat)
	old.count++
	if r.now().Sub(old.written) < repeatEvery {
		return nil
	}
	old.written = r.now()
	e.Name, e.Count = old.name, old.count
	return e
}

func identity(e *corev1.Event) string {
	parts := []string{string(e.InvolvedObject.UID), e.InvolvedObject.Kind, e.Namespace, e.InvolvedObject.Name, e.Type, e.Reason, e.Message}
	for _, k := range slices.Sorted(maps.Keys(e.Annotations)) {
		parts = append(parts, k, e.Annotations[k])
	}
	return strings.Join(parts, "\x00")
}

// Start writes what is recorded until the context ends, and then what is left, for at most ten seconds.
func (r *Recorder) Start(ctx context.Context) error {
	writing := context.WithoutCancel(ctx) // an event that was taken from the queue is written
	for {
		select {
		case e := <-r.warnings:
			r.warn(ctx, e)
		case e := <-r.queue:
			began := time.Now()
			r.write(writing, e)
			r.rest(ctx, pauseAfter(time.Since(began), len(r.queue)))
		case <-ctx.Done():
			r.drain(writing)
			return nil
		}
	}
}

// rest lets some time pass, in which only warnings are written.
func (r *Recorder) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case e := <-r.warnings:
			r.warn(ctx, e)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *Recorder) warn(ctx context.Context, e *corev1.Event) {
	r.write(context.WithoutCancel(ctx), e)
	pause(ctx, shortestPause)
}

// pauseAfter is how long to rest after a write that took so long, when so many events wait. Before some would have to be dropped, there
// is no rest.
func pauseAfter(took time.Duration, waiting int) time.Duration {
	if waiting > pendingEvents/2 {
		return 0
	}
	return min(max(took*pausePerWrite, shortestPause), longestPause)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *Recorder) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case e := <-r.warnings:
			r.write(ctx, e)
		case e := <-r.queue:
			r.write(ctx, e)
		default:
			return
		}
	}
}

func (r *Recorder) write(ctx context.Context, e *corev1.Event) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := r.put(ctx, e); err != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		klog.ErrorS(err, "Event not written", "reason", e.Reason, "object", e.InvolvedObject.Namespace+"/"+e.InvolvedObject.Name)
	}
}

func (r *Recorder) put(ctx context.Context, e *corev1.Event) error {
	events := r.events.Events(e.Namespace)
	if e.Count > 1 {
		patch := fmt.Appendf(nil, `{"count":%d,"lastTimestamp":%q}`, e.Count, e.LastTimestamp.UTC().Format(time.RFC3339))
		_, err := events.Patch(ctx, e.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	_, err := events.Create(ctx, e, metav1.CreateOptions{})
	return err
}
