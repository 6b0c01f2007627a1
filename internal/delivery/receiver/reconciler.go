package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/kube"
)

// fieldManager is the one under which Flux's tools expect the status of a Receiver to be written.
const fieldManager = client.FieldOwner("gotk-notification-controller")

// tokenKey is the key of the token in a Receiver's Secret.
const tokenKey = "token"

// minInterval bounds how often a Secret is read whatever the spec says.
const minInterval = 10 * time.Second

// firstPause is how long after a first failure the Secret is read again. The pause grows with the time that has passed since.
const firstPause = 2 * time.Second

// Waker makes the agent look at an object of its own at once, without a request to the API server. It returns false for what this process
// doesn't serve, or doesn't know.
type Waker func(ctx context.Context, kind string, key types.NamespacedName) bool

// Options are the agent's flags that concern Receivers.
type Options struct {
	// NoCrossNamespaceRefs refuses Receivers that name objects of other namespaces.
	NoCrossNamespaceRefs bool
	// Wake wakes what the agent serves itself. Nil: everything is woken by annotation.
	Wake Waker
	// Clock is the time; tests set it.
	Clock clock.PassiveClock
}

// Reconciler keeps the status of Receivers and answers their webhooks. Its addresses are those in the cache of the manager.
type Reconciler struct {
	client  client.Client
	reader  client.Reader
	clients *kube.Clients
	events  *kube.Recorder
	filters *filters
	paths   *paths
	gates   *gates
	rounds  *rounds
	opts    Options
}

// Setup registers the reconciler of Receivers with mgr. The one that it returns answers webhooks as soon as the manager's cache is filled,
// whether this replica leads or not.
func Setup(ctx context.Context, mgr ctrl.Manager, clients *kube.Clients, events *kube.Recorder, opts Options) (*Reconciler, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Wake == nil {
		opts.Wake = func(context.Context, string, types.NamespacedName) bool { return false }
	}
	filters, err := newFilters()
	if err != nil {
		return nil, err
	}
	r := &Reconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), clients: clients, events: events,
		filters: filters, paths: newPaths(), gates: newGates(opts.Clock), rounds: newRounds(), opts: opts,
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &apiv1.Receiver{}, byPath, r.paths.index); err != nil {
		return nil, fmt.Errorf("index Receivers by path: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&apiv1.Receiver{}, builder.WithPredicates(wake.SpecOrRequest())).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2}).
		Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the Receiver controller: %w", err)
	}
	return r, nil
}

// Reconcile brings one Receiver's address up to date with its token.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &apiv1.Receiver{}
	if err := r.client.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.gates.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &step{Reconciler: r, log: ctrl.LoggerFrom(ctx), before: obj, obj: obj.DeepCopy()}
	switch {
	case !obj.DeletionTimestamp.IsZero():
		return ctrl.Result{}, s.release(ctx)
	case obj.Spec.Suspend:
		return ctrl.Result{}, nil
	}
	return s.run(ctx)
}

// release lets a Receiver go that Flux left a finalizer on.
func (s *step) release(ctx context.Context) error {
	if !controllerutil.RemoveFinalizer(s.obj, apiv1.NotificationFinalizer) {
		return nil
	}
	if err := s.client.Patch(ctx, s.obj, client.MergeFrom(s.before), fieldManager); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove finalizer: %w", err)
	}
	return nil
}

func (s *step) run(ctx context.Context) (ctrl.Result, error) {
	err := s.check(s.obj)
	var wrong *invalid
	if errors.As(err, &wrong) {
		return ctrl.Result{}, s.stall(ctx, wrong.reason, wrong)
	}
	token, err := s.token(ctx, s.obj)
	if err != nil {
		return s.fail(ctx, err)
	}
	return s.succeed(ctx, s.obj.GetWebhookPath(token))
}

// errToken is why there is no token to check signatures with. A person must mend it.
type errToken struct{ message string }

func (e *errToken) Error() string { return e.message }

// token reads the token of a Receiver, anew each time, so that a changed one counts at once. An error that is not an *errToken is one of
// the API server.
func (r *Reconciler) token(ctx context.Context, obj *apiv1.Receiver) (string, error) {
	key := types.NamespacedName{Namespace: obj.Namespace, Name: obj.Spec.SecretRef.Name}
	var secret corev1.Secret
	err := r.reader.Get(ctx, key, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return "", &errToken{fmt.Sprintf("secret '%s' not found; create it, or correct spec.secretRef", key)}
	case err != nil:
		return "", fmt.Errorf("read secret '%s': %w", key, err)
	case len(secret.Data[tokenKey]) == 0:
		return "", &errToken{fmt.Sprintf("secret '%s' has no key 'token', or it is empty; put a long random text there", key)}
	}
	return string(secret.Data[tokenKey]), nil
}
