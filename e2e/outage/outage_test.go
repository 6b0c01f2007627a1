package outage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	labtest.Main(m)
}

const (
	away = time.Minute
	// recovery is for what comes after: the leader's Lease of fifteen seconds, and the longest pause of a watch.
	recovery = 60 * time.Second
	settling = 2 * time.Minute
	// mostKnocks is how many connections one agent may try in the minute: some twenty watches and lists, each with pauses that grow, and what
	// can't be recorded.
	mostKnocks = 60 * 20
	// mostGrowth is how much more memory an agent may take for it, in KiB.
	mostGrowth = 64 << 10
)

// TestAPIServerThatIsGoneForAMinute kills the API server. One agent works alone; another is elected, loses the election for want of an API
// server, ends, and is started again and again as a kubelet would. While nobody is there commits arrive, and things are changed by hand in the
// moment before and after.
func TestAPIServerThatIsGoneForAMinute(t *testing.T) {
	plane := startPlane(t)
	alone, elected := plane.tenant(t, "alone"), plane.tenant(t, "elected", "--leader-elect")
	tenants := []*tenant{alone, elected}
	for _, one := range tenants {
		one.supervise(t)
		one.deliver()
	}
	for _, one := range tenants {
		one.has("1", settling)
	}
	before := map[*tenant]*picture{}
	for _, one := range tenants {
		before[one] = one.picture()
		one.edit("busy-a", "by hand")
	}
	plane.Halt(control.APIServer)
	for _, one := range tenants {
		one.knocks.Store(0)
		one.commit(map[string]string{"busy/a.yaml": configMap("busy-a", "2"), "busy/c.yaml": configMap("busy-c", "2")})
	}
	<-time.After(away)
	for _, one := range tenants {
		t.Logf("%s: %d connections tried in %s, %d KiB, started %d times", one.name, one.knocks.Load(), away, one.memory(), one.starts.Load())
		if n := one.knocks.Load(); n > mostKnocks {
			t.Errorf("%s knocked %d times: requests must be spaced out", one.name, n)
		}
	}
	if n := elected.starts.Load(); n != 2 {
		t.Errorf("an agent that lost the election ends, and the next one waits for the API server: there were %d", n)
	}
	if err := plane.Run(t.Context(), control.APIServer); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for _, one := range tenants {
		one.edit("busy-b", "by hand")
		one.delete("busy-d")
	}
	for _, one := range tenants {
		one.has("2", recovery)
		t.Logf("%s: all as in Git %s after the API server was back", one.name, time.Since(back).Round(100*time.Millisecond))
		was, is := before[one], one.picture()
		for name, uid := range was.uids {
			if is.uids[name] != uid && name != "busy-d" {
				t.Errorf("%s: %s was deleted or made again", one.name, name)
			}
		}
		if was.still != is.still {
			t.Errorf("%s: what nobody changed was written: resource version %s, then %s", one.name, was.still, is.still)
		}
		if grown := is.memory - was.memory; one == alone && grown > mostGrowth {
			t.Errorf("%s: the agent has grown by %d KiB", one.name, grown)
		}
	}
	if n := alone.starts.Load(); n != 1 {
		t.Errorf("an agent that isn't elected has nothing to lose, and was started %d times", n)
	}
}

// plane is a control plane of this test's own.
type plane struct {
	*tethered.Plane
	env    *labtest.Env
	client client.Client
	git    *gitserver.Server
}

func startPlane(t *testing.T) *plane {
	t.Helper()
	programs, err := tethered.FindPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := tethered.Start(t.Context(), programs, tethered.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	c := labtest.Client(t, config, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	git, err := gitserver.Start(gitserver.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = git.Close() })
	return &plane{Plane: p, env: &labtest.Env{Config: config, Kubeconfig: p.Kubeconfig()}, client: c, git: git}
}

// tenant is a namespace with an agent of its own.
type tenant struct {
	testing.TB
	client.Client

	name, namespace string
	agent           *e2e.Agent
	repo            *gitserver.Repo
	knocks          *atomic.Int64
	starts          atomic.Int64
}

func (p *plane) tenant(t *testing.T, name string, flags ...string) *tenant {
	t.Helper()
	repo, err := p.git.Repo(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	one := &tenant{TB: t, Client: p.client, name: name, namespace: p.env.NewNamespace(t), repo: repo, knocks: &atomic.Int64{}}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	p.through(t, kubeconfig, one.knocks)
	flags = append(flags, "--watch-all-namespaces=false", "--namespace="+one.namespace)
	one.agent = e2e.NewAgent(t, p.env, kubeconfig, dir, flags...)
	return one
}

// through writes a kubeconfig that leads to the API server by a door where each who knocks is counted.
func (p *plane) through(t *testing.T, path string, knocks *atomic.Int64) {
	t.Helper()
	raw, err := clientcmd.LoadFromFile(p.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	cluster := raw.Clusters[raw.Contexts[raw.CurrentContext].Cluster]
	server, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	door, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = door.Close() })
	go func() {
		for {
			from, err := door.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server.Host)
			if err != nil {
				_ = from.Close()
				continue
			}
			go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
			go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
		}
	}()
	cluster.Server = "https://" + door.Addr().String()
	if err := clientcmd.WriteToFile(*raw, path); err != nil {
		t.Fatal(err)
	}
}

// supervise runs the agent, and starts it again when it ends, after pauses as a kubelet makes them.
func (o *tenant) supervise(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		o.agent.Kill()
		if t.Failed() {
			t.Logf("%s's agent said:\n%s", o.name, o.agent.Log(40))
		}
	})
	start := func() bool {
		o.starts.Add(1)
		if err := o.agent.Start(); err != nil {
			t.Error(err)
			return false
		}
		return true
	}
	if !start() {
		return
	}
	wg.Go(func() {
		for pause := time.Duration(0); ; pause = min(max(2*pause, 10*time.Second), 5*time.Minute) {
			select {
			case <-ctx.Done():
				return
			case <-o.agent.Ended():
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			if !start() {
				return
			}
		}
	})
}

func configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q}\n", name, value)
}

func (o *tenant) commit(files map[string]string) {
	o.Helper()
	if _, err := o.repo.Commit(o.Context(), files, "change"); err != nil {
		o.Fatal(err)
	}
}

// deliver asks for two Kustomizations: one of things that nobody touches, and one that is changed.
func (o *tenant) deliver() {
	o.Helper()
	files := map[string]string{"still/still.yaml": configMap("still", "1")}
	for _, name := range []string{"a", "b", "d"} {
		files["busy/"+name+".yaml"] = configMap("busy-"+name, "1")
	}
	o.commit(files)
	objects := []client.Object{&sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: o.namespace},
		Spec: sourcev1.GitRepositorySpec{
			URL: o.repo.URL(), Interval: metav1.Duration{Duration: 2 * time.Second}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}}
	for _, name := range []string{"still", "busy"} {
		objects = append(objects, &kustomizev1.Kustomization{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.namespace},
			Spec: kustomizev1.KustomizationSpec{
				Interval: metav1.Duration{Duration: time.Hour}, Path: name, Prune: true, Wait: true, TargetNamespace: o.namespace,
				SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
			},
		})
	}
	for _, obj := range objects {
		if err := o.Create(o.Context(), obj); err != nil {
			o.Fatal(err)
		}
	}
}

// has waits until all is as in Git: what changes has the value, and both Kustomizations are Ready at the newest commit.
func (o *tenant) has(value string, patience time.Duration) {
	o.Helper()
	want := map[string]string{"still": "1", "busy-a": value, "busy-b": "1", "busy-d": "1"}
	if value == "2" {
		want["busy-c"] = "2"
	}
	head, err := o.repo.Head(o.Context(), gitserver.DefaultBranch)
	if err != nil {
		o.Fatal(err)
	}
	var seen string
	err = wait.PollUntilContextTimeout(o.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		seen = o.lacking(ctx, want, head)
		return seen == "", nil
	})
	if err != nil {
		o.Fatalf("%s: waited %s; %s", o.name, patience, seen)
	}
}

// lacking says what isn't as in Git yet; empty: all is.
func (o *tenant) lacking(ctx context.Context, want map[string]string, head string) string {
	for name, value := range want {
		var cm corev1.ConfigMap
		if err := o.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: name}, &cm); err != nil {
			return err.Error()
		}
		if cm.Data["value"] != value {
			return fmt.Sprintf("%s is %q", name, cm.Data["value"])
		}
	}
	for _, name := range []string{"still", "busy"} {
		var ks kustomizev1.Kustomization
		if err := o.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: name}, &ks); err != nil {
			return err.Error()
		}
		if !apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.ReadyCondition) || !strings.HasSuffix(ks.Status.LastAppliedRevision, head) {
			return fmt.Sprintf("Kustomization %s is at %s: %v", name, ks.Status.LastAppliedRevision, ks.Status.Conditions)
		}
	}
	return ""
}

func (o *tenant) edit(name, value string) {
	o.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.namespace}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"data":{"value":%q}}`, value))
	if err := o.Patch(o.Context(), cm, patch, client.FieldOwner("somebody")); err != nil {
		o.Fatal(err)
	}
}

func (o *tenant) delete(name string) {
	o.Helper()
	if err := o.Delete(o.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.namespace}}); err != nil {
		o.Fatal(err)
	}
}

// picture is what is compared of a tenant before and after.
type picture struct {
	uids   map[string]string
	still  string // the resource version of what nobody touches
	memory int    // of the agent, in KiB
}

func (o *tenant) picture() *picture {
	o.Helper()
	var all corev1.ConfigMapList
	if err := o.List(o.Context(), &all, client.InNamespace(o.namespace)); err != nil {
		o.Fatal(err)
	}
	p := &picture{uids: map[string]string{}, memory: o.memory()}
	for i := range all.Items {
		cm := &all.Items[i]
		p.uids[cm.Name] = string(cm.UID)
		if cm.Name == "still" {
			p.still = cm.ResourceVersion
		}
	}
	return p
}

// memory is what the agent's process has resident, in KiB.
func (o *tenant) memory() int {
	o.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.agent.PID()))
	if err != nil {
		return 0 // between two
	}
	var kib int
	if _, rest, ok := bytes.Cut(status, []byte("VmRSS:")); ok {
		_, _ = fmt.Sscanf(string(rest), "%d", &kib)
	}
	return kib
}
