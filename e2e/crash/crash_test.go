package crash

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/await"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard()) // what the harness's own clients say
	labtest.Main(m)
}

const (
	deaths  = 50
	objects = 40
)

// seedVariable names the environment variable that repeats a run.
const seedVariable = "CRASH_SEED"

// TestKilledAtAnyMoment kills the agent at 50 random requests to the API
// server while it applies commits that change, add and remove some of 40
// objects, now and then lets it finish, and in the end holds the cluster to
// what is in Git.
func TestKilledAtAnyMoment(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat this run with %s=%d", seedVariable, seed)
	w := newWorld(t, rand.New(rand.NewPCG(seed, 0)))

	w.start()
	w.settle()
	whole := w.measure()
	t.Logf("a commit takes the agent %d requests from its start", whole)

	looks := 0
	for died := 0; died < deaths; {
		w.commit()
		if w.die(1 + w.random.IntN(whole)) {
			died++
		}
		if w.random.IntN(3) > 0 {
			continue // the next commit finds things half done
		}
		w.start()
		w.settle()
		w.check(fmt.Sprintf("after death %d", died))
		w.agent.Kill()
		looks++
	}
	t.Logf("%d deaths during an apply in %d commits; %d times the agent was let finish in between", deaths, w.revision, looks)
	w.start()
	w.settle()
	w.check("in the end")
}

// world is a repository, an agent that is killed, and what must be true.
type world struct {
	t      *testing.T
	random *rand.Rand
	env    *labtest.Env
	client client.Client
	proxy  *proxy
	agent  *e2e.Agent
	story  *e2e.Givens

	revision int
	files    e2e.Files
	stable   map[string]types.UID // objects that are in every commit
	others   map[string]types.UID // objects of somebody else's
}

func newWorld(t *testing.T, random *rand.Rand) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	p, err := startProxy(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Errorf("close proxy: %v", err)
		}
	})
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := p.kubeconfig(kubeconfig, env.Namespace); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, random: random, env: env, proxy: p, agent: e2e.NewAgent(t, env, kubeconfig, dir), client: env.Client(t)}
	t.Cleanup(w.agent.Kill)

	w.next()
	w.story = e2e.GivenOn(t, env, w.agent)
	w.story.Repository("shop", w.files).
		ConfigMap("bystander", map[string]string{"k": "v"}).
		// Labelled as ours, but in no inventory of ours.
		Object(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "foreign", Labels: map[string]string{
			"kustomize.toolkit.fluxcd.io/name": "shop-of-somebody-else", "kustomize.toolkit.fluxcd.io/namespace": env.Namespace,
		}}}).
		Kustomization("shop", e2e.With(func(s *kustomizev1.KustomizationSpec) {
			s.TargetNamespace = env.Namespace
			s.RetryInterval = &metav1.Duration{Duration: time.Second}
		}))
	return w
}

// next makes the files of the next commit: half of the objects are always
// there and change with every commit, each of the others is there or not.
func (w *world) next() {
	w.revision++
	w.files = e2e.Files{}
	for i := range objects {
		name := fmt.Sprintf("stable-%02d", i)
		if i%2 == 1 {
			if w.random.IntN(2) == 0 && w.revision > 1 {
				continue
			}
			name = fmt.Sprintf("fickle-%02d", i)
		}
		w.files[name+".yaml"] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {revision: %q}\n", name, fmt.Sprint(w.revision))
	}
}

// commit pushes the next state of the repository and has it fetched.
func (w *world) commit() {
	w.t.Helper()
	w.next()
	w.story.When().Change("shop", gitserver.Change{Message: fmt.Sprint("revision ", w.revision), Fresh: true, Files: w.files})
}

func (w *world) start() {
	w.t.Helper()
	if err := w.agent.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits until the agent says that it is done with the newest commit.
func (w *world) settle() {
	w.t.Helper()
	w.story.Then().Ready("gitrepository/shop").Ready("kustomization/shop")
}

// measure counts the requests of an agent from its start to the end of a
// commit's delivery.
func (w *world) measure() int {
	w.t.Helper()
	w.check("before anything died")
	w.agent.Kill()
	w.commit()
	before := w.proxy.requests()
	w.start()
	w.settle()
	whole := w.proxy.requests() - before
	w.agent.Kill()
	return whole
}

// die runs an agent until its at-th request kills it. When it is done with the
// commit before, it is killed then, and die returns false.
func (w *world) die(at int) bool {
	w.t.Helper()
	dead := w.proxy.set(at, w.random.IntN(2) == 0, w.agent.Kill)
	w.start()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	settled := make(chan error, 1)
	go func() { settled <- w.story.Await(ctx, "kustomization/shop", await.Ready(w.story.Head("shop"))) }()
	select {
	case <-dead:
		cancel()
		if err := <-settled; err == nil {
			w.t.Log("the agent died just after everything was in place")
		}
		return true
	case err := <-settled:
		if err != nil {
			w.t.Fatal(err)
		}
		if !w.proxy.disarm() {
			<-dead
			return true
		}
		w.agent.Kill()
		return false
	}
}

// check holds the cluster to what is in Git.
func (w *world) check(when string) {
	w.t.Helper()
	var list corev1.ConfigMapList
	if err := w.client.List(w.t.Context(), &list, client.InNamespace(w.env.Namespace)); err != nil {
		w.t.Fatal(err)
	}
	ours, others, stable := map[string]string{}, map[string]types.UID{}, map[string]types.UID{}
	for _, o := range list.Items {
		switch {
		case o.Labels["kustomize.toolkit.fluxcd.io/name"] == "shop":
			ours[o.Name+".yaml"] = o.Data["revision"]
			if o.Name[:6] == "stable" {
				stable[o.Name] = o.UID
			}
		case o.Name != "kube-root-ca.crt":
			others[o.Name] = o.UID
		}
	}
	for name := range w.files {
		if ours[name] != fmt.Sprint(w.revision) {
			w.t.Errorf("%s: %s is in Git at revision %d and in the cluster at %q", when, name, w.revision, ours[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if _, ok := w.files[name]; !ok {
			w.t.Errorf("%s: %s isn't in Git and should be gone", when, name)
		}
	}
	w.same(when, &w.stable, stable)
	w.same(when, &w.others, others)
	w.inventory(when)
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// same checks that objects are those of the first look: none was deleted, or
// deleted and made again.
func (w *world) same(when string, first *map[string]types.UID, now map[string]types.UID) {
	w.t.Helper()
	if *first == nil {
		*first = now
	}
	if !maps.Equal(*first, now) {
		w.t.Errorf("%s: objects that should live were deleted: they were %v and are %v", when, *first, now)
	}
}

// inventory checks that the Kustomization lists what it has, and nothing else.
func (w *world) inventory(when string) {
	w.t.Helper()
	got := w.story.Inventory("shop")
	var want []string
	for name := range w.files {
		want = append(want, w.env.Namespace+"_"+name[:len(name)-len(".yaml")]+"__ConfigMap")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: the inventory has %v, want %v", when, got, want)
	}
}
