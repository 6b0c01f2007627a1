package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	restclient "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

const (
	// reasonKubeConfig is the reason of a kubeconfig that is missing or can't be used.
	reasonKubeConfig = "KubeConfigInvalid"
	// reasonUnreachable is the reason of a remote cluster that does not answer.
	reasonUnreachable = "ClusterUnreachable"
)

// OpenFunc makes the layers that apply to one more cluster.
type OpenFunc func(clients *kube.Clients, allowance *kube.Allowance) (*apply.Engine, *observe.Pool)

// remotes are the clusters that kubeconfigs lead to. Kustomizations with one kubeconfig share its clients, its watches and what is
// remembered of its objects.
type remotes struct {
	reader    client.Reader
	open      OpenFunc
	telemetry *telemetry.Telemetry
	observed  func(observe.Event)
	kinds     func(string)
	wake      func(telemetry.Cause, ...types.NamespacedName)
	clock     clock.PassiveClock
	closing   sync.WaitGroup

	mu   sync.Mutex
	read map[kubeconfigRef]reading
	at   map[place]*remote
}

// kubeconfigRef is where a kubeconfig is kept.
type kubeconfigRef struct{ namespace, secret, key string }

// place is a kubeconfig with its content: when a Secret changes, it leads to another place.
type place struct {
	ref    kubeconfigRef
	digest [sha256.Size]byte
}

// reading is what a kubeconfig was when it was read last.
type reading struct {
	at     time.Time
	digest [sha256.Size]byte
}

// remote is a cluster that a kubeconfig leads to.
type remote struct {
	target
	place place
	guard *kube.Guard
	bound *kube.Bounds
	pool  *observe.Pool
	stop  context.CancelFunc
	users map[types.NamespacedName]struct{} // guarded by remotes.mu
}

// of returns the cluster that obj's kubeconfig leads to, for obj to use until it is released, or says why there is none. The Secret is
// read when that is due: after an interval, or fresh.
func (rs *remotes) of(ctx context.Context, obj *kustomizev1.Kustomization, fresh bool) (*remote, *blocked) {
	key, ref := client.ObjectKeyFromObject(obj), kubeconfigOf(obj)
	rs.mu.Lock()
	known, ok := rs.read[ref]
	to := rs.at[place{ref, known.digest}]
	rs.mu.Unlock()
	if ok && to != nil && !fresh && rs.clock.Since(known.at) < wake.Interval(obj.Spec.Interval.Duration) && rs.use(key, to) {
		return to, nil
	}
	data, err := rs.kubeconfig(ctx, ref)
	if err != nil {
		return nil, &blocked{reason: reasonKubeConfig, message: err.Error(), again: retryInterval(obj)}
	}
	for {
		to, err = rs.enter(place{ref, sha256.Sum256(data)}, data)
		if err != nil {
			return nil, &blocked{
				reason: reasonKubeConfig, message: fmt.Sprintf("kubeconfig in Secret '%s/%s' %s", ref.namespace, ref.secret, err), again: retryInterval(obj),
			}
		}
		if rs.use(key, to) {
			return to, nil
		}
	}
}

func kubeconfigOf(obj *kustomizev1.Kustomization) kubeconfigRef {
	ref := obj.Spec.KubeConfig.SecretRef
	return kubeconfigRef{obj.Namespace, ref.Name, ref.Key}
}

// kubeconfig reads a kubeconfig from its Secret: from the key that is named, or else from "value" or "value.yaml".
func (rs *remotes) kubeconfig(ctx context.Context, ref kubeconfigRef) ([]byte, error) {
	var secret corev1.Secret
	if err := rs.reader.Get(ctx, types.NamespacedName{Namespace: ref.namespace, Name: ref.secret}, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("kubeconfig Secret '%s/%s' not found; create it, or correct spec.kubeConfig", ref.namespace, ref.secret)
		}
		return nil, fmt.Errorf("read kubeconfig Secret '%s/%s': %w", ref.namespace, ref.secret, err)
	}
	keys := []string{"value", "value.yaml"}
	if ref.key != "" {
		keys = []string{ref.key}
	}
	for _, key := range keys {
		if data, ok := secret.Data[key]; ok {
			return data, nil
		}
	}
	return nil, fmt.Errorf("kubeconfig Secret '%s/%s' has no key %s; add it, or name another in spec.kubeConfig.secretRef.key",
		ref.namespace, ref.secret, strings.Join(keys, " or "))
}

// enter returns the cluster at a place, opened if need be. It makes no request.
func (rs *remotes) enter(at place, kubeconfig []byte) (*remote, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if to := rs.at[at]; to != nil {
		rs.read[at.ref] = reading{rs.clock.Now(), at.digest}
		return to, nil
	}
	cfg, err := kube.RemoteConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	to := &remote{place: at, users: map[types.NamespacedName]struct{}{}}
	to.guard = kube.NewGuard(func(error) { rs.moved(to) })
	to.bound = &kube.Bounds{Overdue: to.guard.Overdue, Allowance: rs.allowance(at.ref.namespace)}
	if err := rs.connect(to, cfg); err != nil {
		to.guard.Close()
		return nil, err
	}
	rs.read[at.ref], rs.at[at] = reading{rs.clock.Now(), at.digest}, to
	return to, nil
}

// allowance is the memory for the clusters of a namespace, which its kubeconfigs share. It needs rs.mu held.
func (rs *remotes) allowance(namespace string) *kube.Allowance {
	for at, to := range rs.at {
		if at.ref.namespace == namespace {
			return to.bound.Allowance
		}
	}
	return kube.NewAllowance(kube.KeepAtMost)
}

func (rs *remotes) connect(to *remote, cfg *restclient.Config) error {
	cfg.UserAgent, cfg.WarningHandler = "slipway-agent", restclient.NoWarnings{}
	cfg.Wrap(to.guard.Wrap)
	cfg.Wrap(to.bound.Wrap)
	cfg.Wrap(rs.telemetry.Transport)
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return errors.New("can't be used: its certificates or credentials are malformed")
	}
	engine, pool := rs.open(clients, to.bound.Allowance)
	pool.Subscribe(rs.observed)
	ctx, stop := context.WithCancel(context.Background())
	to.target, to.pool, to.stop = target{clients: clients, applier: engine, watcher: pool, remote: to}, pool, stop
	rs.closing.Go(func() { _ = clients.WatchDefinitions(ctx, rs.kinds) }) // it ends with its context only
	return nil
}

// use counts a Kustomization in, unless its last user has left the cluster in between.
func (rs *remotes) use(key types.NamespacedName, to *remote) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.at[to.place] != to {
		return false
	}
	to.users[key] = struct{}{}
	return true
}

// release counts a Kustomization out. A cluster that nobody uses any more is left.
func (rs *remotes) release(key types.NamespacedName, to *remote) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(to.users, key)
	if len(to.users) > 0 || rs.at[to.place] != to {
		return
	}
	delete(rs.at, to.place)
	if rs.read[to.place.ref].digest == to.place.digest {
		delete(rs.read, to.place.ref)
	}
	rs.closing.Go(to.close)
}

// moved wakes the users of a cluster that went away or came back.
func (rs *remotes) moved(to *remote) {
	rs.closing.Go(func() { // the guard holds a lock, and so may who uses it
		rs.mu.Lock()
		users := slices.Collect(maps.Keys(to.users))
		rs.mu.Unlock()
		rs.wake(telemetry.Remote, users...)
	})
}

// facts tells how many clusters answer.
func (rs *remotes) facts(s *telemetry.Scrape) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	up, down := 0, 0
	for _, to := range rs.at {
		if to.guard.Away() != nil {
			down++
		} else {
			up++
		}
	}
	s.Remotes(up, down)
}

// close leaves all clusters and waits until that is done.
func (rs *remotes) close() {
	rs.mu.Lock()
	for at, to := range rs.at {
		delete(rs.at, at)
		rs.closing.Go(to.close)
	}
	rs.mu.Unlock()
	rs.closing.Wait()
}

func (to *remote) close() {
	to.stop()
	to.guard.Close()
	to.pool.Close()
	to.bound.Close()
}

// aim sets where obj is applied to. What was remembered of another cluster is forgotten. It says why the cluster can't be used now.
func (r *KustomizationReconciler) aim(ctx context.Context, e *entry, obj *kustomizev1.Kustomization) *blocked {
	kc := obj.Spec.KubeConfig
	if kc == nil {
		r.point(e, obj, r.local)
		return nil
	}
	if kc.SecretRef == nil {
		return stalledBy(reasonUnsupported, "spec.kubeConfig.configMapRef is not served by this version of Slipway; put a kubeconfig into a Secret and name it in spec.kubeConfig.secretRef")
	}
	token, asked := meta.ReconcileAnnotationValue(obj.GetAnnotations())
	fresh := asked && token != obj.Status.LastHandledReconcileAt || e.past == nil || e.past.failed || e.blocked
	to, block := r.remotes.of(ctx, obj, fresh)
	if block != nil {
		return block
	}
	r.point(e, obj, &to.target)
	if err := to.guard.Away(); err != nil {
		// No clock: the guard tells when the cluster is back. The Secret may lead elsewhere meanwhile.
		return &blocked{reason: reasonUnreachable, message: fmt.Sprintf("%s; trying again until it does (kubeconfig in Secret '%s/%s')", err, obj.Namespace, kc.SecretRef.Name), again: retryInterval(obj)}
	}
	return nil
}

func (r *KustomizationReconciler) point(e *entry, obj *kustomizev1.Kustomization, to *target) {
	if e.target == to {
		return
	}
	if e.target != nil {
		r.leave(client.ObjectKeyFromObject(obj), e.target, r.memory.let(client.ObjectKeyFromObject(obj)))
		e.past, e.wait = nil, nil
	}
	e.target = to
}

// leave has a cluster forget a Kustomization.
func (r *KustomizationReconciler) leave(key types.NamespacedName, from *target, refs []kube.Ref) {
	from.leave(key, refs)
	if from.remote != nil {
		r.remotes.release(key, from.remote)
	}
}

// Wait closes the way to remote clusters and returns when that is done. It is for the end of the agent.
func (r *KustomizationReconciler) Wait() { r.remotes.close() }
