package kube_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestRef(t *testing.T) {
	cases := map[string]struct {
		reason  string
		ref     kube.Ref
		id      string
		subject string
	}{
		"namespaced":   {"the usual case", kube.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}, "shop_cart_apps_Deployment", "Deployment/shop/cart"},
		"core":         {"the core group is empty", kube.Ref{Kind: "Service", Namespace: "shop", Name: "cart"}, "shop_cart__Service", "Service/shop/cart"},
		"cluster wide": {"no namespace", kube.Ref{Kind: "Namespace", Name: "shop"}, "_shop__Namespace", "Namespace/shop"},
		"colon": {
			"roles may have colons in their names",
			kube.Ref{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:cart"},
			"_system__cart_rbac.authorization.k8s.io_ClusterRole", "ClusterRole/system:cart",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.ref.String(); got != tc.id {
				t.Errorf("%s: id %s, want %s", tc.reason, got, tc.id)
			}
			if got := tc.ref.Subject(); got != tc.subject {
				t.Errorf("%s: subject %s, want %s", tc.reason, got, tc.subject)
			}
			back, err := kube.ParseRef(tc.id)
			if diff := cmp.Diff(tc.ref, back); err != nil || diff != "" {
				t.Errorf("%s: read back: %v\n%s", tc.reason, err, diff)
			}
		})
	}
	for _, bad := range []string{"", "nonsense", "a_b", "__", "ns__group_Kind", "ns_name_group_"} {
		if _, err := kube.ParseRef(bad); err == nil {
			t.Errorf("want an error for %q", bad)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"9", "10", true}, {"10", "9", false}, {"10", "10", false}, {"", "10", false}, {"10", "", false}, {"99999999999999999998", "99999999999999999999", true}} {
		if got := kube.Older(tc.a, tc.b); got != tc.want {
			t.Errorf("Older(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

func TestSetCondition(t *testing.T) {
	var list []metav1.Condition
	set := func(kind string, status metav1.ConditionStatus, message string) bool {
		return kube.SetCondition(&list, metav1.Condition{Type: kind, Status: status, Reason: "R", Message: message})
	}
	set("Reconciling", "True", "a")
	set("Healthy", "True", "a")
	if !set("Ready", "False", "a") {
		t.Error("a new condition is a change")
	}
	var order []string
	for _, c := range list {
		order = append(order, c.Type)
	}
	if diff := cmp.Diff([]string{"Ready", "Healthy", "Reconciling"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	list[0].LastTransitionTime = metav1.NewTime(time.Unix(1000, 0))
	if set("Ready", "False", "a") {
		t.Error("the same again is no change")
	}
	if !set("Ready", "False", "b") || list[0].LastTransitionTime.Unix() != 1000 {
		t.Error("another message is a change, but no transition")
	}
	if set("Ready", "True", "b"); list[0].LastTransitionTime.Unix() == 1000 {
		t.Error("another status is a transition")
	}
	set("Ready", "True", strings.Repeat("ä", kustomizev1.MaxConditionMessageLength))
	if m := list[0].Message; len(m) > kustomizev1.MaxConditionMessageLength || !strings.HasSuffix(m, "ä…") {
		t.Errorf("a long message is cut between characters: %d bytes, ends in %q", len(m), m[len(m)-8:])
	}
}

// counter counts requests.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		c.mu.Lock()
		c.n[req.Method]++
		c.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (c *counter) of(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[method]
}

func TestPatchStatus(t *testing.T) {
	env := labtest.ControlPlane(t)
	calls := &counter{n: map[string]int{}}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(calls.wrap)
	c := labtest.Client(t, cfg)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: env.Namespace}}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(ns), ns); err != nil {
		t.Fatal(err)
	}
	after := ns.DeepCopy()
	if _, err := kube.PatchStatus(t.Context(), c, ns, after, "gotk-test"); err != nil || calls.of("PATCH") != 0 {
		t.Errorf("nothing to write: %v, %d requests", err, calls.of("PATCH"))
	}
	after.Status.Conditions = []corev1.NamespaceCondition{{Type: "Test", Status: "True", Reason: "R"}}
	after.Labels["not"] = "written"
	version, err := kube.PatchStatus(t.Context(), c, ns, after, "gotk-test")
	if err != nil || calls.of("PATCH") != 1 {
		t.Errorf("want one write: %v, %d requests", err, calls.of("PATCH"))
	}
	var live corev1.Namespace
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(ns), &live); err != nil {
		t.Fatal(err)
	}
	if len(live.Status.Conditions) != 1 || live.Labels["not"] != "" || version != live.ResourceVersion {
		t.Errorf("want the status written and nothing else, and version %s: %+v", version, live)
	}
	if after.ResourceVersion != ns.ResourceVersion {
		t.Errorf("version %s isn't one in which the object's labels are as written here", after.ResourceVersion)
	}
	manager := ""
	for _, e := range live.ManagedFields {
		if e.Subresource == "status" {
			manager = e.Manager
		}
	}
	if manager != "gotk-test" {
		t.Errorf("field manager %q", manager)
	}
	after.Labels = live.Labels
	without := after.DeepCopy()
	without.Status.Conditions = nil
	if version, err = kube.PatchStatus(t.Context(), c, after, without, "gotk-test"); err != nil || without.ResourceVersion != version {
		t.Errorf("want the answer in the object that nobody else has changed: %v, version %s is %s", err, version, without.ResourceVersion)
	}
	for _, what := range []string{"what is there", "what is gone already"} {
		if _, err := kube.PatchStatus(t.Context(), c, after, without.DeepCopy(), "gotk-test"); err != nil {
			t.Errorf("remove %s: %v", what, err)
		}
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(ns), &live); err != nil || len(live.Status.Conditions) != 0 || live.Status.Phase == "" {
		t.Errorf("want the conditions gone and the phase left: %v, %+v", err, live.Status)
	}
	stranger := after.DeepCopy()
	stranger.UID = "another"
	stranger.Status.Conditions = nil
	if _, err := kube.PatchStatus(t.Context(), c, after, stranger, "gotk-test"); err == nil {
		t.Errorf("a namesake must not be written to")
	}
}

func TestIdentity(t *testing.T) {
	env := labtest.ControlPlane(t)
	clients, err := kube.NewClients(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	id := kube.Identity{Namespace: "apps", ServiceAccount: "shop"}
	c, err := clients.For(id)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := clients.For(id); again != c {
		t.Error("clients are kept")
	}
	typed, err := kubernetes.NewForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	me, err := typed.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := authenticationv1.UserInfo{
		Username: "system:serviceaccount:apps:shop",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:apps", "system:authenticated"},
	}
	if diff := cmp.Diff(want, me.Status.UserInfo); diff != "" {
		t.Errorf("who the API server takes us for (-want +got):\n%s", diff)
	}
	if _, err := clients.Get(t.Context(), id, kube.Ref{Version: "v1", Kind: "Secret", Namespace: env.Namespace, Name: "x"}); !apierrors.IsForbidden(err) {
		t.Errorf("it has no rights, got %v", err)
	}
	ns, err := clients.Get(t.Context(), kube.Identity{}, kube.Ref{Kind: "Namespace", Name: env.Namespace})
	if err != nil || ns.GetName() != env.Namespace {
		t.Errorf("the agent reads it, in the preferred version: %v", err)
	}
}

func TestDefinitions(t *testing.T) {
	env := labtest.ControlPlane(t)
	calls := &counter{n: map[string]int{}}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(calls.wrap)
	clients, err := kube.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	group := env.Namespace + ".dev"
	boat := schema.GroupKind{Group: group, Kind: "Boat"}
	if _, err := clients.Mapping(boat, "v1"); !meta.IsNoMatchError(err) {
		t.Fatalf("want no match, got %v", err)
	}
	asked := calls.of("GET")
	if _, err := clients.Mapping(boat, "v1"); !meta.IsNoMatchError(err) || calls.of("GET") != asked {
		t.Errorf("the cluster must not be asked again at once: %v, %d requests", err, calls.of("GET")-asked)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	heard := map[string]int{}
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = clients.WatchDefinitions(ctx, func(name string) {
			mu.Lock()
			defer mu.Unlock()
			heard[name]++
		})
	})
	defer wg.Wait()
	defer cancel()
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "boats." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": "Boat", "plural": "boats", "singular": "boat", "listKind": "BoatList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		},
	}}
	eventually(t, "the watch runs", func() bool { return calls.of("GET") >= asked+2 })
	if err := env.Client(t).Create(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new kind is told of and known", func() bool {
		mu.Lock()
		defer mu.Unlock()
		m, err := clients.Mapping(boat, "v1")
		return heard["boats."+group] > 0 && err == nil && m.Resource.Resource == "boats"
	})
	if k, err := clients.Mapper().KindFor(schema.GroupVersionResource{Group: group, Resource: "boats"}); err != nil || k.Kind != "Boat" {
		t.Errorf("the mapper knows it as well: %v, %v", k, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) { return ok(), nil })
	if err != nil {
		t.Fatalf("never came true: %s", what)
	}
}

func TestRecorder(t *testing.T) {
	env := labtest.ControlPlane(t)
	calls := &counter{n: map[string]int{}}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(calls.wrap)
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := env.Client(t, kustomizev1.AddToScheme).Scheme()
	clock := &fakeClock{now: time.Now().Truncate(time.Second)}
	r := kube.NewRecorder(typed.CoreV1(), s, "kustomize-controller").WithClock(clock.Now)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Start(ctx) })

	obj := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: env.Namespace, UID: "1234"}}
	tell := func(message string) {
		r.Event(obj, map[string]string{"revision": "main@sha1:abc", "example.com/own": "x"}, true, "BuildFailed", message)
	}
	list := func() []corev1.Event {
		l, err := env.Clientset(t).CoreV1().Events(env.Namespace).List(t.Context(), metav1.ListOptions{
			FieldSelector: "involvedObject.kind=Kustomization,involvedObject.name=shop",
		})
		if err != nil {
			t.Fatal(err)
		}
		return l.Items
	}
	for range 5 {
		tell("it broke")
	}
	eventually(t, "the event is there", func() bool { return len(list()) == 1 })
	e := list()[0]
	want := corev1.Event{
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Namespace: env.Namespace, Name: "shop", UID: "1234",
		},
		Type: "Warning", Reason: "BuildFailed", Message: "it broke", Count: 1,
		Source: corev1.EventSource{Component: "kustomize-controller"}, ReportingController: "kustomize-controller",
	}
	want.Annotations = map[string]string{"kustomize.toolkit.fluxcd.io/revision": "main@sha1:abc", "example.com/own": "x"}
	e.Name, e.Namespace, e.UID, e.ResourceVersion, e.ManagedFields, e.CreationTimestamp = "", "", "", "", nil, metav1.Time{}
	if e.FirstTimestamp.IsZero() || e.LastTimestamp.IsZero() {
		t.Error("the times are missing")
	}
	e.FirstTimestamp, e.LastTimestamp = metav1.Time{}, metav1.Time{}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}

	clock.add(time.Hour)
	tell("it broke")
	eventually(t, "repeats are counted on the same event", func() bool { l := list(); return len(l) == 1 && l[0].Count == 6 })
	if got := list()[0].LastTimestamp; !got.Time.Equal(clock.Now()) {
		t.Errorf("when it was last seen: %s, want %s", got, clock.Now())
	}
	if calls.of("POST") != 1 || calls.of("PATCH") != 1 {
		t.Errorf("want two writes for six events, got %v", calls.n)
	}
	if err := env.Clientset(t).CoreV1().Events(env.Namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	clock.add(time.Hour)
	tell("it broke")
	eventually(t, "an event that has gone meanwhile is written anew", func() bool { return len(list()) == 1 })

	tell("and something else")
	cancel()
	wg.Wait()
	if len(list()) != 2 {
		t.Error("what was told before the end must be written")
	}
}

type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
