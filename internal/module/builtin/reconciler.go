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
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// fieldOwner writes the status of Modules.
const fieldOwner = "slipway-agent"

// Capability says how a part of Slipway is served.
type Capability func(ctx context.Context) (Serving, error)

// Serving is how a part is served.
type Serving struct {
	// Problem says what keeps the agent from serving it, in a sentence; empty: nothing does.
	Problem string
	// By names the process that serves it in the agent's place; empty: the agent does.
	By string
}

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
	// Agent is the agent that may replace itself. Nil: this one has no part in self-upgrade.
	Agent Agent
	// Images says which version of the agent's image is wanted. Required where Agent is set.
	Images Images
	// Guarded says why nobody can tell whether who wrote a Module may have the agent replaced; empty: that was asked. Nil: nobody minds.
	Guarded func(ctx context.Context, m *v1alpha1.Module) (problem string, err error)
	// Events is told what happens. Nil: nobody is.
	Events Events
	// Metrics shows how modules are. Nil: nobody does.
	Metrics *attempt.Metrics
	// Changed is told of a module whose version or health is another one, for those that wait for it. Nil: nobody is.
	Changed func()
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

// Reconciler states how the parts of Slipway are, and has the agent upgraded.
type Reconciler struct {
	Parts

	mu      sync.Mutex
	entries map[string]*entry
}

// entry is what is remembered of one module. All of it may be lost.
type entry struct {
	written kube.Written[*v1alpha1.Module]
	// tries is how often somebody didn't answer in a row.
	tries int
}

// New returns a reconciler.
func New(parts Parts) *Reconciler {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	return &Reconciler{Parts: parts, entries: map[string]*entry{}}
}

// task is one look at one Module.
type task struct {
	*Reconciler
	log    logr.Logger
	m      *v1alpha1.Module // what the status is written to
	before *v1alpha1.Module // as the API server has it
	entry  *entry
	now    metav1.Time
}

// Reconcile looks at one Module. One that is being deleted has nothing to be removed.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	m := &v1alpha1.Module{}
	if err := r.Modules.Get(ctx, client.ObjectKey{Name: req.Name}, m); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if m.Spec.Source.Builtin == nil || !m.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	e := r.entry(req.Name)
	m = e.written.Newest(m, func(to, from *v1alpha1.Module) { to.Status = from.Status })
	t := &task{Reconciler: r, log: ctrl.LoggerFrom(ctx), m: m, before: m.DeepCopy(), entry: e, now: metav1.NewTime(r.Now())}
	next, err := t.run(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

func (t *task) run(ctx context.Context) (next time.Duration, err error) {
	name := t.m.Spec.Source.Builtin.Name
	if name == v1alpha1.BuiltinAgent {
		return t.agent(ctx)
	}
	if capability, ok := t.Capabilities[name]; ok {
		return t.inAgent(ctx, capability)
	}
	return t.unknown(ctx, name)
}

// unknown is of a definition of Modules that is newer than this agent.
func (t *task) unknown(ctx context.Context, name string) (time.Duration, error) {
	parts := append(slices.Collect(maps.Keys(t.Capabilities)), v1alpha1.BuiltinAgent)
	slices.Sort(parts)
	message := fmt.Sprintf("this agent (%s) has no part that is called %s, but %s: correct spec.source.builtin.name, or upgrade the agent",
		t.Version, name, strings.Join(parts, ", "))
	t.m.Status.Current, t.m.Status.Target = nil, nil
	return 0, t.settle(ctx, v1alpha1.PhaseBlocked, words{reason: string(v1alpha1.PhaseBlocked), message: message, stalled: true})
}

func (r *Reconciler) entry(module string) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[module]
	if e == nil {
		e = &entry{}
		r.entries[module] = e
	}
	return e
}

func (r *Reconciler) forget(module string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, module)
	r.Metrics.Forget(module)
}
