package attempt

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait more than they work
	labtest.Main(m)
}

// patience is how long a test waits for what should take a second.
const patience = 3 * time.Minute

// world is a cluster with one module in it, and the agents that live and die there.
type world struct {
	*testing.T
	env    *labtest.Env
	client client.Client // the test's own: it isn't counted and doesn't crash
	names  names
	pack   *packages
	name   string // of the module

	clock clock // of all agents

	mu   sync.Mutex
	told []string
}

// clock is a time that can be stopped, and that passes when a test says so.
type clock struct {
	stopped atomic.Pointer[time.Time]
	passed  atomic.Int64 // nanoseconds, beside those of the machine's clock
}

func (c *clock) now() time.Time {
	if at := c.stopped.Load(); at != nil {
		return *at
	}
	return time.Now().Add(time.Duration(c.passed.Load()))
}

func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

func (c *clock) stop() { now := c.now(); c.stopped.Store(&now) }
func (c *clock) goOn() { c.stopped.Store(nil) }

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_*.yaml")
	w := &world{T: t, env: env, name: env.Namespace[max(0, len(env.Namespace)-40):]}
	w.name = strings.Trim(w.name, "-")
	w.client = env.Client(t, v1alpha1.AddToScheme)
	w.names = names{namespace: env.Namespace, unique: w.name}
	w.pack = &packages{client: w.client, versions: map[string]func(names) []*unstructured.Unstructured{}}
	w.playKubelet()
	return w
}

// running is a world with a module that has version 1.0.0 of the package, and its agent.
func running(t *testing.T, v boats, change ...func(*v1alpha1.Module)) (*world, *agent) {
	t.Helper()
	w := newWorld(t)
	w.offer("1.0.0", v)
	a := w.start()
	w.want("1.0.0", change...)
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
	return w, a
}

// broken in the name of an image makes its Deployment fail, slow makes it never ready.
const (
	broken = "broken"
	slow   = "slow"
)

// playKubelet gives Deployments of the namespace the status that their image deserves.
func (w *world) playKubelet() {
	clientset, err := kubernetes.NewForConfig(w.env.Config)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	w.Cleanup(func() { cancel(); done.Wait() })
	deployments := clientset.AppsV1().Deployments(w.env.Namespace)
	done.Go(func() {
		for ctx.Err() == nil {
			events, err := deployments.Watch(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for e := range events.ResultChan() {
				if d, ok := e.Object.(*appsv1.Deployment); ok && d.Status.ObservedGeneration != d.Generation {
					d.Status = statusOf(d)
					_, _ = deployments.UpdateStatus(ctx, d, metav1.UpdateOptions{})
				}
			}
		}
	})
}

func statusOf(d *appsv1.Deployment) appsv1.DeploymentStatus {
	n := int32(1)
	if d.Spec.Replicas != nil {
		n = *d.Spec.Replicas
	}
	image := d.Spec.Template.Spec.Containers[0].Image
	s := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n}
	switch {
	case strings.Contains(image, broken):
		s.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "can't pull " + image,
		}}
	case strings.Contains(image, slow):
	default:
		s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas = n, n, n
		s.Conditions = []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		}
	}
	return s
}

// packages plans what a module wants from packages that are functions: what package plan does for real, without its checks.
type packages struct {
	client client.Client

	mu       sync.Mutex
	versions map[string]func(names) []*unstructured.Unstructured
	change   func(*plan.Plan) // what else plans say
	away     error            // who doesn't answer
	plans    int
	names    names
	inputs   v1alpha1.Digest // "": they follow from the version
}

func (p *packages) Plan(ctx context.Context, m *v1alpha1.Module, _ time.Time) (*plan.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans++
	if p.away != nil {
		return nil, &plan.Unavailable{Err: p.away}
	}
	out := &plan.Plan{
		Module: m.Name, Generation: m.Generation, At: time.Now(), Version: m.Spec.Version, Namespace: p.names.namespace, Reversible: true,
		Package: v1alpha1.ResolvedPackage{Name: "boats", URL: "oci://example.com/boats", Digest: revision.DigestOf([]byte(m.Spec.Version))},
		Gate:    v1alpha1.Gate{Deadline: &metav1.Duration{Duration: 10 * time.Hour}, Soak: &metav1.Duration{}},
	}
	if g := m.Spec.Gate; g != nil {
		out.Gate = *g
	}
	make, known := p.versions[m.Spec.Version]
	if !known {
		out.Problems = []v1alpha1.PlanProblem{{Check: "Resolve", Message: "there is no version " + m.Spec.Version}}
		return out, nil
	}
	objects := make(p.names)
	out.Steps = revision.Split(objects)
	out.Digest = revision.Digest(out.Steps)
	out.Inputs = p.inputsOf(m)
	out.Same = m.Status.Current != nil && m.Status.Current.Digest == out.Digest && m.Status.Attempt == nil
	for _, o := range objects {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(o.GroupVersionKind())
		err := p.client.Get(ctx, client.ObjectKeyFromObject(o), live)
		if err == nil && live.GetLabels()[Group+"/name"] != m.Name {
			out.Before = append(out.Before, live)
		}
	}
	if p.change != nil {
		p.change(out)
	}
	return out, nil
}

// Inputs makes packages a Looker.
func (p *packages) Inputs(_ context.Context, m *v1alpha1.Module) (v1alpha1.Digest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inputsOf(m), nil
}

func (p *packages) inputsOf(m *v1alpha1.Module) v1alpha1.Digest {
	if p.inputs != "" {
		return p.inputs
	}
	return revision.DigestOf([]byte(m.Spec.Version))
}

func (p *packages) planned() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plans
}

// set changes what plans say.
func (p *packages) set(change func(*packages)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// plans changes what else plans say from now on.
func (w *world) plans(change func(*plan.Plan)) {
	w.pack.set(func(p *packages) { p.change = change })
}

// Event notes what is told.
func (w *world) Event(_ client.Object, _ map[string]string, warning bool, reason, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kind := "Normal"
	if warning {
		kind = "Warning"
	}
	w.told = append(w.told, kind+" "+reason+": "+message)
}

func (w *world) heard(part string) bool {
	return slices.ContainsFunc(w.events(), func(line string) bool { return strings.Contains(line, part) })
}

// events is what was told so far.
func (w *world) events() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// agent is one life of the agent.
type agent struct {
	*Reconciler
	w    *world
	pool *observe.Pool
	wire *wire
	// woken has the name of a module that was woken.
	woken     chan string
	queue     workqueue.TypedRateLimitingInterface[reconcile.Request]
	listening sync.WaitGroup
	// problem is what the last reconcile complained of.
	problem string
	ctx     context.Context
	cancel  context.CancelFunc
}

// start begins a life of the agent.
func (w *world) start(change ...func(*Parts, *Settings)) *agent {
	w.Helper()
	ctx, cancel := context.WithCancel(ctrl.LoggerInto(w.Context(), logr.Discard()))
	a := &agent{w: w, woken: make(chan string, 16), ctx: ctx, cancel: cancel, wire: &wire{die: cancel}}
	cfg := rest.CopyConfig(w.env.Config)
	cfg.Wrap(a.wire.wrap)
	clients, err := kube.NewClients(cfg)
	if err != nil {
		w.Fatal(err)
	}
	assess := func(o *unstructured.Unstructured) observe.Verdict {
		v := health.Assess(o)
		return observe.Verdict{State: string(v.State), Reason: v.Reason, Message: v.Message}
	}
	a.pool = observe.New(clients, observe.Options{
		Group: Group, ManagerOf: plan.Manager, Assess: assess, NeedsBody: health.NeedsBody,
	})
	c := labtest.Client(w, cfg, v1alpha1.AddToScheme)
	w.pack.set(func(p *packages) { p.names = w.names })
	parts := Parts{
		Modules: c, Direct: c, Clients: clients, Engine: apply.New(clients, a.pool, apply.Settings{Group: Group}), Pool: a.pool,
		Store: revision.NewStore(c, w.env.Namespace), Planner: w.pack, Events: w, Namespace: w.env.Namespace,
	}
	settings := Settings{Grace: time.Millisecond, Retry: 20 * time.Millisecond, CheckEvery: 200 * time.Millisecond, HangAfter: time.Second, Now: w.clock.now}
	for _, f := range change {
		f(&parts, &settings)
	}
	a.Reconciler = New(parts, settings)
	a.listen()
	w.Cleanup(a.stop)
	return a
}

// listen has what wakes modules wake the agent, as the queue of a controller would.
func (a *agent) listen() {
	a.w.Helper()
	a.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	if err := a.wakeup.source().Start(a.ctx, a.queue); err != nil {
		a.w.Fatal(err)
	}
	a.listening.Go(func() {
		for {
			req, over := a.queue.Get()
			if over {
				return
			}
			a.queue.Done(req)
			select {
			case a.woken <- req.Name:
			default:
			}
		}
	})
}

// stop ends the life of an agent.
func (a *agent) stop() {
	a.cancel()
	a.pool.Close()
	a.queue.ShutDown()
	a.listening.Wait()
}

var errStopped = errors.New("the process was stopped")

// run reconciles the module until it is as wanted. It returns errStopped if the process was stopped before.
func (a *agent) run(until func(*v1alpha1.Module) bool) (*v1alpha1.Module, error) {
	a.w.Helper()
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		result, err := a.Reconcile(a.ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: a.w.name}})
		if a.wire.stopped() {
			return nil, errStopped
		}
		m := a.w.module()
		if until(m) {
			return m, nil
		}
		again := result.RequeueAfter
		if err != nil {
			a.complained(err)
			again = 20 * time.Millisecond
		}
		if again == 0 || again > time.Second {
			again = time.Second
		}
		pause := time.NewTimer(again)
		select {
		case <-pause.C:
		case <-a.woken:
		case <-a.ctx.Done():
			pause.Stop()
			if a.wire.stopped() {
				return nil, errStopped
			}
			return nil, a.ctx.Err()
		case <-over.C:
			pause.Stop()
			return m, fmt.Errorf("waited %s in vain: %s", patience, describe(m))
		}
		pause.Stop()
	}
}

// complained logs an error, if it is another one than before.
func (a *agent) complained(err error) {
	if a.problem != err.Error() {
		a.w.Logf("reconcile: %v", err)
	}
	a.problem = err.Error()
}

// reach runs the agent until the module is in a phase, at the generation of its spec.
func (a *agent) reach(phase lifecycle.State) *v1alpha1.Module {
	a.w.Helper()
	m, err := a.run(func(m *v1alpha1.Module) bool {
		return m != nil && m.Status.Phase == phase && m.Status.ObservedGeneration == m.Generation
	})
	if err != nil {
		a.w.Fatalf("%s isn't reached: %v", phase, err)
	}
	return m
}

// reachWhere runs the agent until the module is as wanted.
func (a *agent) reachWhere(what string, is func(*v1alpha1.Module) bool) *v1alpha1.Module {
	a.w.Helper()
	m, err := a.run(func(m *v1alpha1.Module) bool { return m != nil && is(m) })
	if err != nil {
		a.w.Fatalf("%s: %v", what, err)
	}
	return m
}

// uninstalled runs the agent until the module is gone.
func (a *agent) uninstalled() {
	a.w.Helper()
	if _, err := a.run(func(m *v1alpha1.Module) bool { return m == nil }); err != nil {
		a.w.Fatalf("the module doesn't go: %v", err)
	}
}

func describe(m *v1alpha1.Module) string {
	if m == nil {
		return "there is no module"
	}
	text := string(m.Status.Phase)
	for _, c := range m.Status.Conditions {
		text += fmt.Sprintf("; %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return text
}

// module reads the module, nil if there is none.
func (w *world) module() *v1alpha1.Module {
	w.Helper()
	m := &v1alpha1.Module{}
	err := w.client.Get(w.Context(), client.ObjectKey{Name: w.name}, m)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// want creates the module, or changes what it wants.
func (w *world) want(version string, change ...func(*v1alpha1.Module)) {
	w.Helper()
	m := w.module()
	if m == nil {
		m = &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Spec: v1alpha1.ModuleSpec{
			Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://example.com/boats"}}, Version: version,
		}}
		for _, f := range change {
			f(m)
		}
		if err := w.client.Create(w.Context(), m); err != nil {
			w.Fatal(err)
		}
		return
	}
	before := m.DeepCopy()
	m.Spec.Version = version
	for _, f := range change {
		f(m)
	}
	if err := w.client.Patch(w.Context(), m, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// annotate says something to the module, as a person would.
func (w *world) annotate(key string, value v1alpha1.Digest) {
	w.Helper()
	m := w.module()
	before := m.DeepCopy()
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[key] = string(value)
	if err := w.client.Patch(w.Context(), m, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) delete() {
	w.Helper()
	if err := w.client.Delete(w.Context(), &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: w.name}}); err != nil {
		w.Fatal(err)
	}
}

// wire is between an agent and the API server. It counts writes, and cuts the line after one of them: the API server has done it, but the
// process never hears of it, nor of anything else.
type wire struct {
	die func()

	mu     sync.Mutex
	stop   int // the number of the write after which the line is cut; 0: none
	refuse func(*http.Request) bool
	status int // of what is refused
	last   string
	dead   bool
	log    []string
}

func (x *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		if x.stopped() {
			return nil, errStopped
		}
		if x.refuses(req) {
			return x.refusal(req), nil
		}
		fatal := x.count(req)
		resp, err := next.RoundTrip(req)
		if fatal {
			x.mu.Lock()
			x.dead = true
			x.mu.Unlock()
			if err == nil {
				resp.Body.Close()
			}
			x.die()
			return nil, errStopped
		}
		return resp, err
	})
}

// stopAt has the line cut after a write.
func (x *wire) stopAt(number int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stop = number
}

// refusing has the API server refuse some requests; nil: none any more.
func (x *wire) refusing(which func(*http.Request) bool) { x.answering(http.StatusForbidden, which) }

// answering has the API server answer some requests with a status and nothing else; nil: none any more.
func (x *wire) answering(status int, which func(*http.Request) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status, x.refuse = status, which
}

func (x *wire) refuses(req *http.Request) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refuse != nil && x.refuse(req)
}

func (x *wire) refusal(req *http.Request) *http.Response {
	x.mu.Lock()
	defer x.mu.Unlock()
	reason := map[int]metav1.StatusReason{
		http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
	}[x.status]
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"refused by the test","reason":%q,"code":%d}`, reason, x.status)
	return &http.Response{
		StatusCode: x.status, Status: http.StatusText(x.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": []string{"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// count counts a request that is a write, and tells whether it is the one after which the line is cut.
func (x *wire) count(req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead || req.URL.Query().Get("dryRun") != "" {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last = req.Method + " " + req.URL.Path
	x.log = append(x.log, x.last)
	return len(x.log) == x.stop
}

func (x *wire) stopped() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dead
}

func (x *wire) written() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.log...)
}
