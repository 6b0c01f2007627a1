package builtin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// fieldOwner writes the status of Modules.
const fieldOwner = "slipway-agent"

// Capability says what keeps the agent from serving a part of Slipway, in a sentence; empty: nothing does.
type Capability func(ctx context.Context) (problem string, err error)

// Events records what happens to modules; kube.Recorder does.
type Events interface {
	Event(obj client.Object, details map[string]string, warning bool, reason, message string)
}

// Parts are what a Reconciler works with.
type Parts struct {
	// Modules reads Modules, and may be a cache; Direct writes them, and must not be one. Required.
	Modules client.Reader
	Direct  client.Client
	// Version of Slipway. Required.
	Version string
	// Capabilities are the parts that run in the agent, by name.
	Capabilities map[string]Capability
	// Events is told what happens. Nil: nobody is.
	Events Events
	// Changed is told of a module whose version or health is another one, for those that wait for it. Nil: nobody is.
	Changed func()
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

// Reconciler states how the parts of Slipway are.
type Reconciler struct {
	Parts

	mu      sync.Mutex
	written map[string]*v1alpha1.Module // as this process wrote them last, until the cache has caught up
}

// New returns a reconciler.
func New(parts Parts) *Reconciler {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	return &Reconciler{Parts: parts, written: map[string]*v1alpha1.Module{}}
}

// task is one look at one Module.
type task struct {
	*Reconciler
	log    logr.Logger
	m      *v1alpha1.Module // what the status is written to
	before *v1alpha1.Module // as the API server has it
	now    metav1.Time
}

// Reconcile looks at one Module. One that is being deleted has nothing to be removed.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	m := &v1alpha1.Module{}
	if err := r.Modules.Get(ctx, client.ObjectKey{Name: req.Name}, m); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.note(req.Name, nil)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if m.Spec.Source.Builtin == nil || !m.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	m = r.newest(m)
	t := &task{Reconciler: r, log: ctrl.LoggerFrom(ctx), m: m, before: m.DeepCopy(), now: metav1.NewTime(r.Now())}
	next, err := t.run(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

func (t *task) run(ctx context.Context) (next time.Duration, err error) {
	name := t.m.Spec.Source.Builtin.Name
	if capability, ok := t.Capabilities[name]; ok {
		return t.inAgent(ctx, capability)
	}
	return t.unknown(ctx, name)
}

// unknown is of a definition of Modules that is newer than this agent.
func (t *task) unknown(ctx context.Context, name string) (time.Duration, error) {
	message := fmt.Sprintf("this agent (%s) has no part that is called %s, but %s: correct spec.source.builtin.name, or upgrade the agent",
		t.Version, name, strings.Join(slices.Sorted(maps.Keys(t.Capabilities)), ", "))
	t.m.Status.Current, t.m.Status.Target = nil, nil
	return 0, t.settle(ctx, v1alpha1.PhaseBlocked, words{reason: string(v1alpha1.PhaseBlocked), message: message, stalled: true})
}

// newest is a Module as it was read, or as this process wrote it last if the cache hasn't caught up with that.
func (r *Reconciler) newest(m *v1alpha1.Module) *v1alpha1.Module {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.written[m.Name]; w != nil && w.UID == m.UID && kube.Older(m.ResourceVersion, w.ResourceVersion) {
		return w.DeepCopy()
	}
	delete(r.written, m.Name)
	return m.DeepCopy()
}

func (r *Reconciler) note(module string, m *v1alpha1.Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m == nil {
		delete(r.written, module)
		return
	}
	r.written[module] = m.DeepCopy()
}
