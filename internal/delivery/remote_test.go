package delivery_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// abroad is a second control plane, and the way to it, which can be blocked.
type abroad struct {
	client     client.Client
	kubeconfig []byte
	way        *way
}

// way forwards TCP connections, until it is blocked or hangs.
type way struct {
	to   string
	mu   sync.Mutex
	off  bool
	all  []net.Conn
	hung chan struct{} // closed when it hangs no more; nil: it does not
}

// hang has the way take connections and bytes and pass none on, or pass on again what it has taken.
func (y *way) hang(on bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case on && y.hung == nil:
		y.hung = make(chan struct{})
	case !on && y.hung != nil:
		close(y.hung)
		y.hung = nil
	}
}

// open returns when nothing hangs.
func (y *way) open() {
	y.mu.Lock()
	hung := y.hung
	y.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

// pass copies from one connection to another, and waits with what comes while the way hangs.
func (y *way) pass(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		y.open()
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (y *way) serve(l net.Listener) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		y.mu.Lock()
		off := y.off
		y.all = append(y.all, from)
		y.mu.Unlock()
		if off {
			_ = from.Close()
			continue
		}
		to, err := net.Dial("tcp", y.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		go y.pass(to, from)
		go y.pass(from, to)
	}
}

func (y *way) block(off bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.off = off
	if off {
		for _, c := range y.all {
			_ = c.Close()
		}
		y.all = nil
	}
}

func newAbroad(t *testing.T) *abroad {
	t.Helper()
	programs, err := tethered.FindPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plane, err := tethered.Start(t.Context(), programs, tethered.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plane.Stop() })
	config, err := clientcmd.BuildConfigFromFlags("", plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	c := labtest.Client(t, config)
	raw, err := clientcmd.LoadFromFile(plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	cluster := raw.Clusters[raw.Contexts[raw.CurrentContext].Cluster]
	server, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &way{to: server.Host}
	t.Cleanup(func() { _ = l.Close(); y.hang(false) })
	go y.serve(l)
	cluster.Server = "https://" + l.Addr().String()
	if err := clientcmdapi.FlattenConfig(raw); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := clientcmd.Write(*raw)
	if err != nil {
		t.Fatal(err)
	}
	return &abroad{client: c, kubeconfig: kubeconfig, way: y}
}

func (w *world) kubeconfigSecret(name string, content []byte) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}, Data: map[string][]byte{"value": content}}
	w.create(s)
	return s
}

func onRemote(secret string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: secret}}
		k.Spec.RetryInterval = &metav1.Duration{Duration: 5 * time.Second}
	}
}

func TestARemoteClusterIsKeptAsItIsInGit(t *testing.T) {
	t.Parallel()
	a := newAbroad(t)
	w := newWorld(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := a.client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	there := func(name string) (*corev1.ConfigMap, error) {
		cm := w.configMap(name)
		return cm, a.client.Get(t.Context(), client.ObjectKeyFromObject(cm), cm)
	}
	is := func(name, value string) {
		t.Helper()
		w.poll(name+" is "+value+" in the remote cluster", func() bool {
			cm, err := there(name)
			return err == nil && cm.Data["value"] == value
		}, name)
	}
	revision := w.commit(map[string]string{"one/a.yaml": configMapFile("a", "1"), "two/b.yaml": configMapFile("b", "1")})
	w.source()
	secret := w.kubeconfigSecret("abroad", a.kubeconfig)
	one := w.kustomization("one", in("one"), onRemote("abroad"))
	two := w.kustomization("two", in("two"), onRemote("abroad"))
	w.applied(one, revision)
	w.applied(two, revision)
	is("a", "1")
	is("b", "1")
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.configMap("a")), w.configMap("a")); !apierrors.IsNotFound(err) {
		t.Fatalf("the object is in the agent's own cluster: %v", err)
	}

	cm, err := there("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.client.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	is("a", "1") // drift is seen by the watch: the interval is an hour

	a.way.block(true)
	if message := w.refused(one, "ClusterUnreachable"); !strings.Contains(message, "does not answer") {
		t.Errorf("the message does not say why: %s", message)
	}
	revision = w.commit(map[string]string{"one/a.yaml": configMapFile("a", "2")})
	w.fetch()
	a.way.block(false)
	w.applied(one, revision)
	is("a", "2")

	if err := w.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.request(one)
	if message := w.refused(one, "KubeConfigInvalid"); !strings.Contains(message, "not found") {
		t.Errorf("the message does not say what is missing: %s", message)
	}
	w.kubeconfigSecret("abroad", a.kubeconfig)
	w.applied(one, revision)
	if err := w.client.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	w.gone(one)
	w.poll("its object is deleted in the remote cluster", func() bool {
		_, err := there("a")
		return apierrors.IsNotFound(err)
	}, "a")
	is("b", "1")
}

func TestAKubeconfigThatReachesForTheAgentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	const head = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: https://127.0.0.1:1}}]\n"
	w.kubeconfigSecret("exec", []byte(head+"users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: planted-secret, interactiveMode: Never}}}]\n"))
	w.kubeconfigSecret("none", []byte("planted-secret: ["))
	for name, want := range map[string]string{"exec": "runs no programs", "none": "is not a kubeconfig"} {
		message := w.refused(w.kustomization(name, onRemote(name)), "KubeConfigInvalid")
		if !strings.Contains(message, want) || strings.Contains(message, "planted-secret") {
			t.Errorf("%s: message %q must say %q and nothing of the content", name, message, want)
		}
	}
}
