package agent

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/builtin"
	"github.com/slipway-dev/slipway/internal/module/supply"
)

// harbour is a cluster with an agent of version 1.0.0 in slot a, a registry with its image, and the Module of the agent. The API server, the
// registry and the driver are real; the test plays the two agents that carry out an AgentUpgrade: what they do is package upgrade's tests'.
type harbour struct {
	*testing.T
	env        *labtest.Env
	client     client.Client
	leases     coordination.LeaseInterface
	repository string // of the agent's image
	images     map[string]v1.Hash
	shelf      *supply.Shelf
	module     *v1alpha1.Module
	now        time.Time
	away       bool // the registry
	unguarded  string

	mu   sync.Mutex
	told []string
}

func newHarbour(t *testing.T, change ...func(*v1alpha1.Module)) *harbour {
	t.Helper()
	h := &harbour{T: t, env: labtest.ControlPlane(t), images: map[string]v1.Hash{}, now: time.Now()}
	h.env.Define(t, "slipway.dev_*.yaml")
	h.client, h.leases = h.clientFor(h.env.Config), h.env.Clientset(t).CoordinationV1().Leases(h.env.Namespace)
	h.account()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h.away {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	h.repository = host + "/slipway"
	var err error
	h.shelf, err = supply.New(supply.Settings{Reader: h.client, Namespace: h.env.Namespace, Dir: t.TempDir(), Insecure: []string{host}, Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.shelf.Close)
	h.push("1.0.0", time.Time{})
	h.slot(v1alpha1.SlotA, "1.0.0")
	h.module = &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.BuiltinAgent},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: v1alpha1.BuiltinAgent}}},
	}
	for _, c := range change {
		c(h.module)
	}
	h.create(h.module)
	t.Cleanup(func() { _ = h.client.Delete(context.WithoutCancel(t.Context()), h.module) })
	return h
}

func (h *harbour) clientFor(cfg *rest.Config) client.Client {
	h.Helper()
	scheme, err := newScheme()
	if err != nil {
		h.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		h.Fatal(err)
	}
	return c
}

func (h *harbour) create(obj client.Object) {
	h.Helper()
	if err := h.client.Create(h.Context(), obj); err != nil {
		h.Fatal(err)
	}
}

// push puts an image of the agent into the registry.
func (h *harbour) push(version string, made time.Time) v1alpha1.Digest {
	h.Helper()
	image, err := random.Image(64, 1)
	if err == nil && !made.IsZero() {
		image, err = mutate.CreatedAt(image, v1.Time{Time: made})
	}
	ref, parseErr := name.NewTag(h.repository+":"+version, name.Insecure)
	if err := errors.Join(err, parseErr); err != nil {
		h.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		h.Fatal(err)
	}
	if h.images[version], err = image.Digest(); err != nil {
		h.Fatal(err)
	}
	return v1alpha1.Digest(h.images[version].String())
}

func (h *harbour) image(version string) string {
	return h.repository + "@" + h.images[version].String()
}

// slot makes the StatefulSet of a slot.
func (h *harbour) slot(slot v1alpha1.AgentSlot, version string) {
	h.Helper()
	labels := map[string]string{"app.kubernetes.io/name": userAgent, upgrade.SlotLabel: string(slot)}
	h.create(&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.env.Namespace, Name: Names().Workload(slot), Annotations: map[string]string{"slipway.dev/version": version}},
		Spec: appsv1.StatefulSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: Names().Container, Image: h.image(version)}}},
			},
		},
	})
}

// identity is the agent's service account.
func (h *harbour) identity() rest.ImpersonationConfig {
	return rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + h.env.Namespace + ":" + userAgent, Groups: []string{"system:serviceaccounts", "system:authenticated"},
	}
}

// account gives the agent's service account the rights that 'slipway install' gives it, and no others.
func (h *harbour) account() {
	h.Helper()
	promise, err := probe.Carried()
	if err != nil {
		h.Fatal(err)
	}
	everywhere := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: h.env.Namespace}, Rules: promise.Cluster}
	own := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: h.env.Namespace, Name: userAgent}, Rules: promise.Own}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: h.env.Namespace, Name: userAgent}}
	bound := &rbacv1.ClusterRoleBinding{
		ObjectMeta: everywhere.ObjectMeta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everywhere.Name},
	}
	for _, obj := range []client.Object{everywhere, own, bound, &rbacv1.RoleBinding{
		ObjectMeta: own.ObjectMeta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: own.Name},
	}} {
		h.create(obj)
		if obj.GetNamespace() == "" {
			h.Cleanup(func() { _ = h.client.Delete(context.WithoutCancel(h.Context()), obj) })
		}
	}
	cfg := rest.CopyConfig(h.env.Config)
	cfg.Impersonate = h.identity()
	c := h.clientFor(cfg)
	for _, may := range []authorizationv1.ResourceAttributes{
		{Group: v1alpha1.GroupVersion.Group, Resource: "modules", Verb: "patch"},
		{Group: v1alpha1.GroupVersion.Group, Resource: "agentupgrades", Verb: "create", Namespace: h.env.Namespace},
	} {
		err := wait.PollUntilContextTimeout(h.Context(), 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &may}}
			err := c.Create(ctx, review)
			return review.Status.Allowed, err
		})
		if err != nil {
			h.Fatalf("the agent's account may never %s %s: %v", may.Verb, may.Resource, err)
		}
	}
}

// agent is a process of the agent, with the rights of its service account, that ends after so many writes; 0: it doesn't.
func (h *harbour) agent(ends int) *builtin.Reconciler {
	h.Helper()
	cfg := rest.CopyConfig(h.env.Config)
	cfg.Impersonate = h.identity()
	written := 0
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			if ends > 0 && written >= ends {
				return nil, errEnded
			}
			if req.Method != http.MethodGet {
				written++
			}
			return next.RoundTrip(req)
		})
	})
	c := h.clientFor(cfg)
	leases, err := coordination.NewForConfig(cfg)
	if err != nil {
		h.Fatal(err)
	}
	driver := upgrade.New(upgrade.Options{Client: c, Leases: leases.Leases(h.env.Namespace), Namespace: h.env.Namespace, Name: Names(), Slot: v1alpha1.SlotA, Elects: true})
	return builtin.New(builtin.Parts{
		Modules: c, Direct: c, Version: "devel", Agent: replaceable{driver}, Images: h.shelf, Events: h, Now: func() time.Time { return h.now },
		Guarded: func(context.Context, *v1alpha1.Module) (string, error) { return h.unguarded, nil },
	})
}

var errEnded = errors.New("the process has ended")

// Event implements builtin.Events.
func (h *harbour) Event(_ client.Object, _ map[string]string, _ bool, reason, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, reason+": "+message)
}

// looks has a process look at the Module once, and reads what it has made of it.
func (h *harbour) looks(r *builtin.Reconciler) (next time.Duration, err error) {
	h.Helper()
	result, err := r.Reconcile(h.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(h.module)})
	if err := h.client.Get(h.Context(), client.ObjectKeyFromObject(h.module), h.module); err != nil {
		h.Fatal(err)
	}
	return result.RequeueAfter, err
}

// is looks once and says what differs from what should be.
func (h *harbour) is(r *builtin.Reconciler, reason string, phase v1alpha1.ModulePhase, current string, says ...string) (next time.Duration) {
	h.Helper()
	next, err := h.looks(r)
	if err != nil {
		h.Fatalf("%s: %v", reason, err)
	}
	s := h.module.Status
	ready := apimeta.FindStatusCondition(s.Conditions, v1alpha1.ReadyCondition)
	if ready == nil || s.Phase != phase || s.Current == nil || s.Current.Version != current {
		h.Fatalf("%s: phase %s, current %+v, ready %+v; want %s and %s", reason, s.Phase, s.Current, ready, phase, current)
	}
	for _, words := range says {
		if !strings.Contains(ready.Reason+": "+ready.Message, words) {
			h.Errorf("%s: %s: %q doesn't say %q", reason, ready.Reason, ready.Message, words)
		}
	}
	if next <= 0 {
		h.Errorf("%s: nobody looks again", reason)
	}
	return next
}

// change changes the Module as a person does.
func (h *harbour) change(change func(*v1alpha1.Module)) {
	h.Helper()
	change(h.module)
	if err := h.client.Update(h.Context(), h.module); err != nil {
		h.Fatal(err)
	}
}

func (h *harbour) annotate(key string, value v1alpha1.Digest) {
	h.Helper()
	h.change(func(m *v1alpha1.Module) { m.Annotations = map[string]string{key: string(value)} })
}

// upgrades are the AgentUpgrades that there are.
func (h *harbour) upgrades() []v1alpha1.AgentUpgrade {
	h.Helper()
	var all v1alpha1.AgentUpgradeList
	if err := h.client.List(h.Context(), &all, client.InNamespace(h.env.Namespace)); err != nil {
		h.Fatal(err)
	}
	return all.Items
}

// the is the one AgentUpgrade of a name.
func (h *harbour) the(upgrade string) *v1alpha1.AgentUpgrade {
	h.Helper()
	u := &v1alpha1.AgentUpgrade{}
	if err := h.client.Get(h.Context(), client.ObjectKey{Namespace: h.env.Namespace, Name: upgrade}, u); err != nil {
		h.Fatalf("%v; there are %v", err, h.upgrades())
	}
	return u
}

// play plays the agents in an AgentUpgrade: it comes to a phase.
func (h *harbour) play(u *v1alpha1.AgentUpgrade, phase v1alpha1.AgentUpgradePhase, failure string) {
	h.Helper()
	u.Status.Phase, u.Status.PhaseSince, u.Status.Failure = phase, new(metav1.NewTime(h.now)), nil
	if failure != "" {
		u.Status.Failure = &v1alpha1.Failure{Reason: failure, Message: "it was seen", At: metav1.NewTime(h.now)}
	}
	if err := h.client.Status().Update(h.Context(), u); err != nil {
		h.Fatal(err)
	}
}

// handOver gives the lease to slot b, where the version runs then.
func (h *harbour) handOver(version string) {
	h.Helper()
	h.slot(v1alpha1.SlotB, version)
	if _, err := term.Give(h.Context(), h.leases, Names().Agent, term.Tenure{}, v1alpha1.SlotB); err != nil {
		h.Fatal(err)
	}
}

func upgradeName(digest v1alpha1.Digest, number string) string {
	return "agent-" + strings.TrimPrefix(string(digest), "sha256:")[:12] + "-" + number
}
