package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

const (
	// Finalizer keeps a Module until all that it has brought is gone.
	Finalizer = "slipway.dev/module"
	// fieldOwner writes the status of Modules and revisions.
	fieldOwner = "slipway-agent"
	// maxTransitions bounds how many states a module passes through in one go: the longest way to rest has five.
	maxTransitions = 16
)

// Reconciler carries modules through their lives.
type Reconciler struct {
	Parts
	settings Settings
	memory   *memory
	wakeup   wakeup
	inputs   inputs
	lanes    *lanes
}

// New returns a reconciler that listens to the pool from now on.
func New(parts Parts, settings Settings) *Reconciler {
	r := &Reconciler{Parts: parts, settings: settings.withDefaults(), memory: newMemory()}
	r.lanes = newLanes(r.settings.PlanAtOnce)
	r.Pool.Subscribe(r.observed)
	return r
}

// Reconcile looks at one Module: it follows what has happened until nothing is due, or what is due has to wait.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	m := &v1alpha1.Module{}
	if err := r.Modules.Get(ctx, client.ObjectKey{Name: req.Name}, m); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(ctx, req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if m.Spec.Source.Builtin != nil {
		r.wakeup.wake(r.lanes.quit(m.Name)...)
		return ctrl.Result{}, nil // package builtin's
	}
	e := r.memory.of(m.Name)
	m = e.written.Newest(m, func(to, from *v1alpha1.Module) { to.Status = from.Status })
	t := &task{
		Reconciler: r, log: ctrl.LoggerFrom(ctx), m: m, before: m.DeepCopy(), entry: e, now: r.settings.Now(),
		decided: map[lifecycle.Event]bool{},
	}
	err := t.run(ctx)
	t.quitLane()
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: t.next}, nil
}

func (r *Reconciler) forget(ctx context.Context, module string) {
	_, _ = r.Pool.Ensure(ctx, module, kube.Identity{}, nil) // letting go can't fail
	_, _ = r.Pool.EnsureInputs(ctx, module, kube.Identity{}, nil)
	r.inputs.set(module, nil)
	r.wakeup.wake(r.lanes.quit(module)...)
	r.Engine.Forget(plan.Owner(module), r.memory.of(module).refs...)
	r.memory.forget(module)
	r.Metrics.forget(module)
	r.Nudge() // what depended on it is planned anew
}

// task is one reconcile of one Module.
type task struct {
	*Reconciler
	log    logr.Logger
	m      *v1alpha1.Module // what the status is written to
	before *v1alpha1.Module // as the API server has it
	entry  *entry
	now    time.Time
	next   time.Duration // when to look again; 0: when something changes

	// decided are the events that led nowhere in this reconcile.
	decided map[lifecycle.Event]bool
	// queues says that the module waits for a lane.
	queues bool
	// permit is what is said of the last good plan.
	permit Permit
	// failure is why the work of the state failed.
	failure *v1alpha1.Failure
	// waits is what the work of the state waits for, in words.
	waits string
	// news is what there is to tell at rest, such as an object that isn't healthy.
	news *news
	// rested is the phase from which a plan was begun, and since when it was.
	rested      lifecycle.State
	restedSince *metav1.Time
	// gone says that the Module isn't there any more.
	gone bool
}

// run follows events until none is found.
func (t *task) run(ctx context.Context) error {
	if err := t.prepare(ctx); err != nil {
		return err
	}
	for range maxTransitions {
		t.now = t.settings.Now()
		event, err := t.find(ctx)
		if errors.Is(err, errNoLane) {
			t.entry.due = true
			return nil // nothing was written: it is found again
		}
		if err != nil {
			return t.complain(ctx, err)
		}
		if event == "" {
			return t.rest(ctx)
		}
		if err := t.follow(ctx, event); err != nil || t.gone {
			return err
		}
	}
	return fmt.Errorf("module %s doesn't come to rest: it is %s after %d transitions", t.m.Name, t.phase(), maxTransitions)
}

// complain shows in the conditions what holds up the work that is under way; it is tried again.
func (t *task) complain(ctx context.Context, err error) error {
	if lifecycle.Resting(t.phase()) || t.phase() == lifecycle.Planning || ctx.Err() != nil {
		return err
	}
	t.waits = err.Error()
	t.describe()
	return errors.Join(err, t.write(ctx))
}

// prepare sees to the finalizer, and to annotations that were heeded.
func (t *task) prepare(ctx context.Context) error {
	want := t.m.DeepCopy()
	if t.m.DeletionTimestamp.IsZero() {
		controllerutil.AddFinalizer(want, Finalizer)
	}
	for _, key := range t.heeded() {
		delete(want.Annotations, key)
	}
	if len(want.Finalizers) == len(t.m.Finalizers) && len(want.Annotations) == len(t.m.Annotations) {
		return nil
	}
	if err := kube.PatchMetadata(ctx, t.Direct, t.m, want, fieldOwner); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	t.m, t.before = want, want.DeepCopy()
	t.entry.written.Is(want, want.ResourceVersion)
	return nil
}

// follow does what the table says of an event: what is on the way is written together with the new state, and then done.
func (t *task) follow(ctx context.Context, event lifecycle.Event) error {
	facts, err := t.facts(ctx)
	if err != nil {
		return err
	}
	from := t.phase()
	d, err := lifecycle.Decide(from, event, facts)
	if err != nil {
		return fmt.Errorf("decide on %s: %w", event, err)
	}
	t.log.V(1).Info("Decided", "event", event, "from", from, "to", d.To, "why", d.Why)
	if d.To == from {
		t.decided[event] = true
	}
	if d.Ignored {
		return nil
	}
	if d.To == lifecycle.Gone {
		return t.letGo(ctx)
	}
	t.mark(event, d)
	if err := t.record(ctx, event, from, d); err != nil {
		return err
	}
	return t.once(ctx, d)
}

// once does what isn't the work of a state: that is done each time the module is looked at.
func (t *task) once(ctx context.Context, d lifecycle.Decision) error {
	for _, a := range d.Actions {
		if a == lifecycle.CorrectDrift {
			return t.correctDrift(ctx)
		}
	}
	return nil
}

// rest writes what is to be said of a module of which nothing is due.
func (t *task) rest(ctx context.Context) error {
	t.describe()
	if err := t.write(ctx); err != nil {
		return err
	}
	t.Metrics.state(t.m, t.phase())
	return t.settle(ctx)
}

func (t *task) phase() lifecycle.State {
	if t.m.Status.Phase == "" {
		return lifecycle.Pending
	}
	return t.m.Status.Phase
}

// again asks for another look after a while, at the latest.
func (t *task) again(after time.Duration) {
	after = max(after, time.Millisecond)
	if t.next == 0 || after < t.next {
		t.next = after
	}
}

// write brings the status to the API server, if it differs.
func (t *task) write(ctx context.Context) error {
	version, err := kube.PatchStatus(ctx, t.Direct, t.before, t.m, fieldOwner)
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	t.before = t.m.DeepCopy()
	t.entry.written.Is(t.m, version)
	return nil
}
