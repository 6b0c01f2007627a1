package delivery

import (
	"context"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/inputs"
	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

const (
	// accessDenied is the reason of a reference that the agent's flags forbid.
	accessDenied = "AccessDenied"
	// reasonNoAccount is the reason of a Kustomization that names no service account where it has to.
	reasonNoAccount = "ServiceAccountRequired"
	// reasonInvalidIgnore is the reason of a spec.ignore that nobody can read.
	reasonInvalidIgnore = "InvalidIgnoreRule"
)

// What the reconciler needs of the layers below.
type (
	snapshots interface {
		Get(digest string) (*source.Snapshot, bool)
	}
	// sourceKinds are the kinds of sources that the cluster knows, and their reconcilers.
	sourceKinds interface {
		New(kind string) (sources.Object, bool)
		Look(kind string, key types.NamespacedName)
		Problem(kind string, key types.NamespacedName) string
	}
	builder interface {
		Build(ctx context.Context, in build.Input) (*build.Result, error)
	}
)

// KustomizationOptions are the agent's flags that concern Kustomizations.
type KustomizationOptions struct {
	// DefaultServiceAccount is impersonated where spec.serviceAccountName is empty.
	DefaultServiceAccount string
	// AllowAgentIdentity lets the agent act as itself where no service account is named. Who may create Kustomizations may then do
	// whatever the agent may. Default: such Kustomizations are refused.
	AllowAgentIdentity bool
	// NoCrossNamespaceRefs refuses sources and dependencies of other namespaces.
	NoCrossNamespaceRefs bool
	// AdditiveReadyExpr has a dependency with a readyExpr be Ready besides. Default: the expression alone decides, as in Flux.
	AdditiveReadyExpr bool
	// Sweep is how often everything is applied again although nothing seems to have changed. Default: 6 h; spread by a tenth.
	Sweep time.Duration
	// RecordWithin is how long a revision that changes nothing for a Kustomization may go unrecorded in its status. Up to the default,
	// 10 s, fewer than a thousand Kustomizations take less; a longer one is used to the full, so that commits share a write.
	RecordWithin time.Duration
	// Concurrent is how many Kustomizations are worked on at once. Default: 8.
	Concurrent int
	// Aside keeps Kustomizations alone while Flux works on them. Nil: it never does.
	Aside *aside.Gate
	// Clock is the time; tests set it.
	Clock clock.PassiveClock
}

// KustomizationReconciler makes the cluster match what Kustomizations say.
type KustomizationReconciler struct {
	client    client.Client // reads from the cache
	reader    client.Reader // reads from the API server
	events    *kube.Recorder
	snapshots snapshots
	sources   sourceKinds
	cache     cache.Cache
	// controller is the one that reconciles with this: kinds of sources are added to what it watches.
	controller controller.Controller
	builder    builder
	local      *target
	remotes    *remotes
	seats      *seats
	memory     *memory
	queue      *wake.Queue
	// assess judges an object that is read by itself; nil: health.Assess.
	assess    func(*unstructured.Unstructured) health.Verdict
	telemetry *telemetry.Telemetry
	opts      KustomizationOptions
}

// Reconcile does what decide says for one Kustomization, and writes its status at most once per outcome.
func (r *KustomizationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &kustomizev1.Kustomization{}
	if err := r.client.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
			r.seats.pass(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	e := r.memory.of(req.NamespacedName)
	if e.uid != obj.UID { // a namesake of the one that is known
		r.forget(req.NamespacedName)
		e = r.memory.of(req.NamespacedName)
		e.uid, e.since = obj.UID, r.opts.Clock.Now()
	}
	obj = e.written.Newest(obj, func(to, from *kustomizev1.Kustomization) { to.Status = from.Status })

	ctx, leave, ok := r.visit(ctx, obj, e)
	if !ok {
		return ctrl.Result{}, nil // woken when its turn has come
	}
	defer leave()
	if !obj.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, obj, e)
	}
	if obj.Spec.Suspend {
		e.wait = nil
		return ctrl.Result{}, nil
	}
	off := r.aim(ctx, e, obj)
	t := &task{KustomizationReconciler: r, target: e.target, off: off, obj: obj, before: obj.DeepCopy(), entry: e, started: r.opts.Clock.Now(), log: ctrl.LoggerFrom(ctx)}
	return t.step(ctx)
}

// forget drops what is known of a Kustomization that is gone.
func (r *KustomizationReconciler) forget(key types.NamespacedName) {
	r.telemetry.Forget(telemetry.Object{Kind: kustomizev1.KustomizationKind, Namespace: key.Namespace, Name: key.Name})
	to := r.memory.of(key).target
	refs := r.memory.forget(key)
	if to != nil {
		r.leave(key, to, refs)
	}
	_, _ = r.local.watcher.EnsureInputs(context.Background(), key.String(), kube.Identity{}, nil) // letting go can't fail
}

// readIgnore compiles spec.ignore, once for each generation.
func (e *entry) readIgnore(obj *kustomizev1.Kustomization) error {
	if e.ignoring == obj.Generation {
		return nil
	}
	ignore, err := apply.CompileIgnore(obj.Spec.Ignore)
	if err == nil {
		e.ignore, e.ignoring = ignore, obj.Generation
	}
	return err
}

// task is one reconcile of one Kustomization.
type task struct {
	*KustomizationReconciler
	*target
	log      logr.Logger
	obj      *kustomizev1.Kustomization // what the status is written to
	before   *kustomizev1.Kustomization // as the API server has it
	entry    *entry
	in       *input
	facts    facts
	modes    modes
	inputs   inputs.Inputs
	hasRead  bool      // inputs were read in this task
	repeated bool      // the attempt before failed with the same revision and spec
	pending  time.Time // since when the attempts before could not apply the whole set
	truce    time.Time // when the next object may be put back that others keep changing; zero: none waits
	off      *blocked  // why the target can't be used; nil: it can
	verify   bool      // apply every object, whatever is remembered of it
	started  time.Time
}

func (t *task) key() types.NamespacedName { return client.ObjectKeyFromObject(t.obj) }

// step gathers the facts and does what follows from them.
func (t *task) step(ctx context.Context) (ctrl.Result, error) {
	touched, kinds := t.entry.takeTouched()
	result, err := t.look(ctx, touched, kinds)
	if err != nil { // what was learned may not have been recorded: look at everything again
		t.entry.past = nil
	}
	return result, err
}

func (t *task) look(ctx context.Context, touched map[kube.Ref]struct{}, kinds bool) (ctrl.Result, error) {
	if err := unsupported(&t.obj.Spec); err != nil {
		return t.block(ctx, stalledBy(reasonUnsupported, err.Error()))
	}
	if err := t.entry.readIgnore(t.obj); err != nil {
		return t.block(ctx, stalledBy(reasonInvalidIgnore, err.Error()))
	}
	var err error
	if t.modes, err = modesOf(t.obj); err != nil {
		return t.block(ctx, stalledBy(reasonInvalidAnnotation, err.Error()))
	}
	if !t.mayAct(t.obj) {
		return t.block(ctx, stalledBy(reasonNoAccount, "spec.serviceAccountName is required: name a service account of this namespace that may do "+
			"what this Kustomization brings, or have the agent started with --default-service-account"))
	}
	if t.off != nil {
		return t.hold(ctx, t.off, touched)
	}
	in, block, err := t.input(ctx, t.obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	if block != nil {
		return t.hold(ctx, block, touched)
	}
	t.in = in
	if t.facts, err = t.gather(ctx, touched, kinds); err != nil {
		return t.fail(ctx, meta.BuildFailedReason, err)
	}
	switch decide(t.facts) {
	case attempt:
		if block, err = t.dependenciesFor(ctx); err != nil || block != nil {
			return t.holdOr(ctx, block, touched, err)
		}
		return t.attempt(ctx)
	case judge:
		return t.judge(ctx)
	case record:
		return t.unaffected(ctx)
	case rest:
	}
	return t.again(), nil
}

// dependenciesFor says which dependency an attempt has to wait for. What was applied before is kept as it is whatever became of the
// dependencies since.
func (t *task) dependenciesFor(ctx context.Context) (*blocked, error) {
	f := t.facts
	if f.known && !f.failed && !f.generation && !f.inputs && !f.content && !f.pending {
		return nil, nil
	}
	return t.dependencies(ctx)
}

// hold records what stands in the way, and keeps what was seen meanwhile for when it is gone.
func (t *task) hold(ctx context.Context, block *blocked, touched map[kube.Ref]struct{}) (ctrl.Result, error) {
	for ref := range touched {
		t.entry.touch(ref)
	}
	return t.block(ctx, block)
}

func (t *task) holdOr(ctx context.Context, block *blocked, touched map[kube.Ref]struct{}, err error) (ctrl.Result, error) {
	if err != nil {
		return ctrl.Result{}, err
	}
	return t.hold(ctx, block, touched)
}
