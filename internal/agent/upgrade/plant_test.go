package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const (
	patience = 90 * time.Second
	agent    = "slipway-agent"
	oldImage = "example.com/slipway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	newImage = "example.com/slipway@sha256:1111111111111111111111111111111111111111111111111111111111111111"

	// The times of electors and drivers, shorter than in the agent.
	leaseDuration, renewDeadline, retryPeriod = 3 * time.Second, 2 * time.Second, 200 * time.Millisecond
	silence                                   = 5 * time.Second
	poll                                      = 100 * time.Millisecond
	// speed is how much faster the drivers' clocks go than that of the electors: the API admits no deadlines below ten seconds, and whoever
	// waits for one in vain is to do so for two.
	speed = 5
	// restart is how long a kubelet takes to start what has ended again.
	restart = 300 * time.Millisecond
)

func names() upgrade.Names { return upgrade.Names{Agent: agent, Container: "agent"} }

// flaw is what is wrong with the new image.
type flaw string

const (
	sound       flaw = "good"
	noImage     flaw = "image missing"
	cantStart   flaw = "crash at start" // the probe finds it
	stillborn   flaw = "crash beside the old one"
	lacksRights flaw = "rights missing"
	cantList    flaw = "can't list its kinds"
	useless     flaw = "doesn't work"
)

// plant is a cluster with an agent in it: the API server is real, the test plays the controller of StatefulSets and the kubelet, and the
// pods of the slots run the code that processes of the agent run: the election and a driver each.
type plant struct {
	t         *testing.T
	env       *labtest.Env
	c         client.WithWatch
	leases    coordination.LeaseInterface
	namespace string
	flaw      flaw
	began     time.Time
	// seen is what controllers and kubelets see, by a cache that costs nothing to ask.
	seen client.Reader

	mu       sync.Mutex
	working  map[string]bool // pods that lead
	crowded  []string
	lost     map[v1alpha1.AgentSlot]bool // slots whose node is gone
	restarts map[v1alpha1.AgentSlot]int
	said     []string

	// strike is the write after which the process that made it dies; 0: none. lose says that its node goes with it.
	strike, written int
	lose            bool
	struck          string
}

var carried = sync.OnceValues(func() (probe.Promise, error) { return probe.Carried() })

func newPlant(t *testing.T, f flaw) *plant {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_agentupgrades.yaml")
	c := env.Client(t, v1alpha1.AddToScheme)
	p := &plant{
		t: t, env: env, c: c, leases: env.Clientset(t).CoordinationV1().Leases(env.Namespace), namespace: env.Namespace, flaw: f, began: time.Now(), seen: c,
		working: map[string]bool{}, lost: map[v1alpha1.AgentSlot]bool{}, restarts: map[v1alpha1.AgentSlot]int{},
	}
	p.account()
	p.create(slotA())
	return p
}

// account makes the agent's service account, with the rights that 'slipway install' gives it in its own namespace and no others: the
// processes have to do with them.
func (p *plant) account() {
	p.t.Helper()
	promise, err := carried()
	if err != nil {
		p.t.Fatal(err)
	}
	name := metav1.ObjectMeta{Name: agent}
	p.create(&corev1.ServiceAccount{ObjectMeta: name})
	p.create(&rbacv1.Role{ObjectMeta: name, Rules: promise.Own})
	p.create(&rbacv1.RoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: agent},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: p.namespace, Name: agent}},
	})
}

// slotA is the agent as 'slipway install' makes it, as far as an upgrade looks at it.
func slotA() *appsv1.StatefulSet {
	labels := map[string]string{"app.kubernetes.io/name": agent}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: agent, Labels: labels},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels}, ServiceName: "pods",
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/name": agent, upgrade.SlotLabel: "a"}},
				Spec: corev1.PodSpec{
					ServiceAccountName: agent,
					Containers:         []corev1.Container{{Name: "agent", Image: oldImage, Args: []string{"agent"}, Env: []corev1.EnvVar{{Name: upgrade.SlotEnv, Value: "a"}}}},
					Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
						TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": agent, upgrade.SlotLabel: "a"}},
					}}}},
				},
			},
		},
	}
}

func (p *plant) create(obj client.Object) {
	p.t.Helper()
	obj.SetNamespace(p.namespace)
	if err := p.c.Create(p.t.Context(), obj); err != nil {
		p.t.Fatal(err)
	}
}

// now is the time on the drivers' clocks.
func (p *plant) now() time.Time { return p.began.Add(speed * time.Since(p.began)) }

// limits are those of drivers, on their clocks.
func limits() upgrade.Limits {
	return upgrade.Limits{Start: speed * 20 * time.Second, HandOver: speed * 20 * time.Second, TakeBack: speed * 15 * time.Second, Poll: poll, Silence: speed * silence}
}

// attempt is an upgrade from the old image to the new one. What waits for its end in vain waits shortly; everything else has time.
func (p *plant) attempt(mode v1alpha1.AgentUpgradeMode) *v1alpha1.AgentUpgrade {
	u := attempt(mode)
	short := &metav1.Duration{Duration: 10 * time.Second} // as short as the API admits
	switch p.flaw {
	case noImage:
		u.Spec.ProbeTimeout = short
	case useless:
		u.Spec.ProveFor = short
	}
	return u
}

// attempt is an upgrade from the old image to the new one.
func attempt(mode v1alpha1.AgentUpgradeMode) *v1alpha1.AgentUpgrade {
	return &v1alpha1.AgentUpgrade{
		ObjectMeta: metav1.ObjectMeta{Name: "next"},
		Spec: v1alpha1.AgentUpgradeSpec{
			Mode:         mode,
			From:         v1alpha1.AgentBuild{Version: "1", Image: oldImage, Slot: v1alpha1.SlotA},
			To:           v1alpha1.AgentBuild{Version: "2", Image: newImage, Slot: v1alpha1.SlotB},
			ProbeTimeout: &metav1.Duration{Duration: speed * time.Minute}, ProveFor: &metav1.Duration{Duration: speed * time.Minute},
		},
	}
}

// run plays the cluster until the test ends.
func (p *plant) run() {
	ctx, stop := context.WithCancel(p.t.Context())
	seen, err := cache.New(p.env.Config, cache.Options{
		Scheme: p.c.Scheme(), Mapper: p.c.RESTMapper(), DefaultNamespaces: map[string]cache.Config{p.namespace: {}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.seen = seen
	var parts sync.WaitGroup
	parts.Go(func() { _ = seen.Start(ctx) })
	for _, slot := range []v1alpha1.AgentSlot{v1alpha1.SlotA, v1alpha1.SlotB} {
		parts.Go(func() { p.slotLoop(ctx, slot) })
	}
	parts.Go(func() { p.probeLoop(ctx) })
	parts.Go(func() { p.guardLoop(ctx) })
	p.t.Cleanup(func() {
		stop()
		parts.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, said := range p.crowded {
			p.t.Error(said)
		}
		if p.t.Failed() {
			p.t.Logf("struck: %s\n%s", p.struck, strings.Join(p.said, "\n"))
		}
	})
}

// every calls f again and again until ctx ends.
func every(ctx context.Context, f func(context.Context)) {
	wait.UntilWithContext(ctx, f, poll)
}

// slotLoop is the controller of a slot's StatefulSet and the kubelet of its one pod.
func (p *plant) slotLoop(ctx context.Context, slot v1alpha1.AgentSlot) {
	var running *process
	stop := func() {
		if running != nil {
			running.end()
			running = nil
		}
	}
	defer stop()
	var uid string
	down := time.Time{}
	every(ctx, func(ctx context.Context) {
		s := &appsv1.StatefulSet{}
		err := p.seen.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: names().Workload(slot)}, s)
		if err != nil && !apierrors.IsNotFound(err) {
			return
		}
		wanted := err == nil && *s.Spec.Replicas > 0
		if !wanted || uid != string(s.UID) {
			stop()
			p.forget(slot)
			uid = string(s.UID)
		}
		if err != nil {
			return
		}
		broken := p.flaw == stillborn && s.Spec.Template.Spec.Containers[0].Image == newImage
		if running != nil && running.over() {
			running, down = nil, time.Now()
		}
		if wanted && !broken && running == nil && !p.isLost(slot) && time.Since(down) > restart {
			running = p.start(slot, p.flaw == useless && s.Spec.Template.Spec.Containers[0].Image == newImage)
		}
		p.report(ctx, s, running != nil, broken)
	})
}

func (p *plant) isLost(slot v1alpha1.AgentSlot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost[slot]
}

// forget is a slot without pods: the next ones run on a node that is there.
func (p *plant) forget(slot v1alpha1.AgentSlot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restarts[slot] = 0
}

// report writes the status of a slot, and the pod that breaks, where one does.
func (p *plant) report(ctx context.Context, s *appsv1.StatefulSet, runs, broken bool) {
	want := appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: *s.Spec.Replicas, UpdatedReplicas: *s.Spec.Replicas}
	if runs && want.Replicas > 0 {
		want.ReadyReplicas, want.AvailableReplicas = 1, 1
	}
	if s.Status.ObservedGeneration != want.ObservedGeneration || s.Status.Replicas != want.Replicas || s.Status.ReadyReplicas != want.ReadyReplicas {
		s.Status = want
		_ = p.c.Status().Update(ctx, s) // the next look tries again
	}
	if broken {
		p.breakPod(ctx, s)
	}
}

// breakPod has a pod of a slot that ended too often.
func (p *plant) breakPod(ctx context.Context, s *appsv1.StatefulSet) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: s.Name + "-0", Labels: s.Spec.Template.Labels}, Spec: s.Spec.Template.Spec}
	if err := p.c.Create(ctx, pod); err != nil {
		return
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "agent", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}},
	}}
	_ = p.c.Status().Update(ctx, pod)
}

// probeLoop is the kubelet of the probe's pod.
func (p *plant) probeLoop(ctx context.Context) {
	every(ctx, func(ctx context.Context) {
		pod := &corev1.Pod{}
		if err := p.seen.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: agent + "-probe"}, pod); err != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return
		}
		ended := func(code int32, message string) {
			pod.Status.Phase = map[bool]corev1.PodPhase{true: corev1.PodSucceeded, false: corev1.PodFailed}[code == 0]
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "agent", State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: message},
			}}}
		}
		if got := pod.Spec.Containers[0]; !slices.Equal(got.Args, []string{"agent", upgrade.ProbeFlag}) || len(got.Env[0].Value) != 1 || got.Image == oldImage {
			p.crowd(fmt.Sprintf("the probe runs %+v", got))
		}
		switch p.flaw {
		case noImage:
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "agent", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"},
			}}}
		case cantStart:
			ended(2, "unknown flag: --artifact-address")
		case lacksRights, cantList:
			name := map[flaw]string{lacksRights: probe.Permissions, cantList: probe.Definitions}[p.flaw]
			ended(1, encode(probe.Report{Checks: []v1alpha1.AgentCheck{{Name: probe.Started, Passed: true, At: metav1.Now()}, {Name: name, Message: "may not list secrets", At: metav1.Now()}}}))
		default:
			ended(0, encode(probe.Report{Checks: []v1alpha1.AgentCheck{{Name: probe.Started, Passed: true, At: metav1.Now()}}}))
		}
		_ = p.c.Status().Update(ctx, pod)
	})
}

func encode(r probe.Report) string {
	text, err := r.Encode()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// guardLoop is the controller of the guard's Deployment and the kubelet of its pod.
func (p *plant) guardLoop(ctx context.Context) {
	var guard *process
	defer func() {
		if guard != nil {
			guard.end()
		}
	}()
	every(ctx, func(ctx context.Context) {
		d := &appsv1.Deployment{}
		err := p.seen.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: agent + "-guard"}, d)
		switch {
		case apierrors.IsNotFound(err) && guard != nil:
			guard.end()
			guard = nil
		case err == nil && (guard == nil || guard.over()):
			guard = p.startGuard()
		case err == nil && d.Status.AvailableReplicas == 0:
			d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
			_ = p.c.Status().Update(ctx, d)
		}
	})
}

// await asks again until holds.
func (p *plant) await(what string, holds func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) { return holds(), nil }); err != nil {
		p.t.Fatalf("waited %s for: %s; it is: %s", patience, what, p.state())
	}
}

// hasEnded says whether the attempt has, as far as can be seen without a request.
func (p *plant) hasEnded() bool {
	u := &v1alpha1.AgentUpgrade{}
	err := p.seen.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "next"}, u)
	return err == nil && u.Status.Phase.Ended()
}

func (p *plant) get() *v1alpha1.AgentUpgrade {
	u := &v1alpha1.AgentUpgrade{}
	if err := p.c.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "next"}, u); err != nil {
		p.t.Fatal(err)
	}
	return u
}

func (p *plant) holder() term.Holder {
	h, err := term.Read(p.t.Context(), p.leases, agent)
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// replicas is how many replicas a slot is to have; -1 if it isn't there.
func (p *plant) replicas(slot v1alpha1.AgentSlot) int32 {
	s := &appsv1.StatefulSet{}
	err := p.c.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: names().Workload(slot)}, s)
	if apierrors.IsNotFound(err) {
		return -1
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return *s.Spec.Replicas
}

func (p *plant) state() string {
	u := p.get()
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%s %+v; lease %+v; working %v; lost %v; slot a has %d, slot b %d", u.Status.Phase, u.Status.Failure, p.holder(), p.working, p.lost, p.replicas("a"), p.replicas("b"))
}

// works says whether an agent of the slot that has the lease works.
func (p *plant) works(slot v1alpha1.AgentSlot) bool {
	h := p.holder()
	p.mu.Lock()
	defer p.mu.Unlock()
	return h.Slot == slot && h.Taken && p.working[h.Identity]
}

// process is what a pod runs.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *process) end() {
	r.cancel()
	<-r.done
}

func (r *process) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// wire is how a process reaches the API server. A process that was struck reaches it no more. Writes of drivers are counted.
type wire struct {
	p      *plant
	next   http.RoundTripper
	slot   v1alpha1.AgentSlot
	counts bool
	dead   *deadMark
}

type deadMark struct {
	mu   sync.Mutex
	dead bool
	kill func()
}

func (d *deadMark) is() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.dead.is() {
		return nil, errors.New("this process is dead")
	}
	resp, err := w.next.RoundTrip(req)
	if !w.counts || err != nil || req.Method == http.MethodGet || resp.StatusCode >= 300 {
		return resp, err
	}
	if w.p.strikes(w.slot, req) {
		w.dead.mu.Lock()
		w.dead.dead = true
		w.dead.mu.Unlock()
		w.dead.kill()
		resp.Body.Close()
		return nil, errors.New("this process died before it heard the answer")
	}
	return resp, nil
}

// strikes counts a write that went through, and says whether its process dies now.
func (p *plant) strikes(slot v1alpha1.AgentSlot, req *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written++
	said := fmt.Sprintf("write %d by slot %s: %s %s", p.written, slot, req.Method, req.URL.Path)
	p.said = append(p.said, said)
	if p.written != p.strike {
		return false
	}
	p.struck = said
	if p.lose {
		p.lost[slot] = true
	}
	return true
}

func (p *plant) log(who string) logr.Logger {
	return funcr.New(func(prefix, args string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.said = append(p.said, time.Now().Format("05.000 ")+who+" "+prefix+args)
	}, funcr.Options{})
}

// config is the configuration of a process; driver says whether its writes count.
func (p *plant) config(slot v1alpha1.AgentSlot, driver bool, dead *deadMark) *rest.Config {
	cfg := p.env.ServiceAccount(agent)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return wire{p: p, next: next, slot: slot, counts: driver, dead: dead}
	})
	return cfg
}

// start starts a process of a slot: an elector with its lock, a driver, and work while it leads.
func (p *plant) start(slot v1alpha1.AgentSlot, idle bool) *process {
	ctx, cancel := context.WithCancel(context.Background())
	r := &process{cancel: cancel, done: make(chan struct{})}
	p.mu.Lock()
	p.restarts[slot]++
	name := fmt.Sprintf("%s-%d", slot, p.restarts[slot]+1000*len(p.said))
	p.mu.Unlock()
	dead := &deadMark{kill: cancel}
	c, leases := p.clients(p.config(slot, true, dead))
	_, lockLeases := p.clients(p.config(slot, false, dead))
	var lock *term.Lock
	driver := upgrade.New(upgrade.Options{
		Client: c, Leases: leases, Namespace: p.namespace, Name: names(), Slot: slot, Elects: true, Log: p.log(name),
		Leading: func() bool { return lock.Leading() },
		Prove: func(context.Context, time.Time) []v1alpha1.AgentCheck {
			return []v1alpha1.AgentCheck{{Name: "Delivery", Passed: !idle, At: metav1.Now(), Message: "as the test says"}}
		},
		Limits: limits(), Now: p.now,
	})
	lock = term.NewLock(term.Options{
		Leases: lockLeases, Name: agent, Identity: name, Slot: slot, Rightful: driver.Rightful, Deposed: cancel,
		RenewDeadline: renewDeadline, Silence: silence, Drain: patience,
	})
	elect, stopElecting := context.WithCancel(context.Background())
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { p.enter(name) },
			OnStoppedLeading: cancel,
		},
	})
	if err != nil {
		panic(err)
	}
	var parts sync.WaitGroup
	parts.Go(func() { elector.Run(elect) })
	parts.Go(func() { _ = driver.Run(ctx, c) })
	parts.Go(func() {
		<-ctx.Done()
		p.leave(name)
		stopElecting()
	})
	go func() {
		parts.Wait()
		cancel()
		close(r.done)
	}()
	return r
}

// startGuard starts the process of the guard.
func (p *plant) startGuard() *process {
	ctx, cancel := context.WithCancel(context.Background())
	r := &process{cancel: cancel, done: make(chan struct{})}
	dead := &deadMark{kill: cancel}
	c, leases := p.clients(p.config(v1alpha1.SlotA, true, dead))
	driver := upgrade.New(upgrade.Options{
		Client: c, Leases: leases, Namespace: p.namespace, Name: names(), Slot: v1alpha1.SlotA, Elects: true, Log: p.log("guard"),
		Limits: limits(), Now: p.now,
	})
	go func() {
		defer close(r.done)
		defer cancel()
		_ = driver.Run(ctx, c)
	}()
	return r
}

func (p *plant) clients(cfg *rest.Config) (client.WithWatch, coordination.LeaseInterface) {
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: p.c.Scheme(), Mapper: p.c.RESTMapper()})
	if err != nil {
		panic(err)
	}
	leases, err := coordination.NewForConfig(cfg)
	if err != nil {
		panic(err)
	}
	return c, leases.Leases(p.namespace)
}

// crowd notes what must not be.
func (p *plant) crowd(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crowded = append(p.crowded, what)
}

func (p *plant) enter(who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.working {
		p.crowded = append(p.crowded, who+" began to work while "+other+" did")
	}
	p.working[who] = true
	p.said = append(p.said, time.Now().Format("05.000 ")+who+" works")
}

func (p *plant) leave(who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.working, who)
}

func ends(u *v1alpha1.AgentUpgrade, states ...protocol.State) bool {
	return slices.Contains(states, u.Status.Phase)
}
