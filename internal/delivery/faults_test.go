package delivery_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// failure is an answer of an API server that has too much to do, or fails.
func failure(req *http.Request, code int) *http.Response {
	body, _ := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Message: "made up by the test",
		Reason: map[int]metav1.StatusReason{http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusInternalServerError: metav1.StatusReasonInternalError}[code],
	})
	header := http.Header{"Content-Type": {"application/json"}}
	if code != http.StatusInternalServerError {
		header.Set("Retry-After", "1") // as flow control says it
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// stream passes a watch on, and keeps hold of it.
func (r *requests) stream(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	res, err := next.RoundTrip(req)
	if err == nil {
		r.mu.Lock()
		r.streams = append(r.streams, res.Body)
		r.mu.Unlock()
	}
	return res, err
}

// drop ends all watches that are open.
func (r *requests) drop() {
	r.mu.Lock()
	streams := r.streams
	r.streams = nil
	r.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}

// let sets what becomes of requests.
func (r *requests) let(refuse func(*http.Request) bool, answer func(*http.Request) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse, r.answer = refuse, answer
}

// TestAPIServerThatFailsForAMoment has the API server answer the first writes of ConfigMaps with an error that says nothing about them.
func TestAPIServerThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"too many requests": http.StatusTooManyRequests, "internal error": http.StatusInternalServerError} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
			failures := 0
			w.requests.let(nil, func(req *http.Request) int {
				if req.Method != http.MethodPatch || !strings.Contains(req.URL.Path, "/configmaps/") || failures >= 3 {
					return 0
				}
				failures++
				return code
			})
			w.source()
			ks := w.kustomization("shop")
			w.applied(ks, revision)
			w.value("a", "1")
			w.value("b", "1")
			if failures < 3 {
				t.Errorf("only %d requests failed: the test shows nothing", failures)
			}
		})
	}
}

// TestAPIServerThatFailsInBursts answers the first requests of each kind with errors, whatever they want, through the whole life of a
// Kustomization: it ends where it would have ended without them, and nobody had to help.
func TestAPIServerThatFailsInBursts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	failed := map[string]int{} // by what was wanted; guarded by the requests' own lock
	storm := func(req *http.Request) int {
		if strings.Contains(req.URL.Path, "/leases/") {
			return 0
		}
		verb := req.Method
		if req.URL.Query().Get("watch") != "" {
			verb = "WATCH"
		}
		part := ""
		for _, name := range []string{"status", "configmaps", "events", "gitrepositories", "kustomizations"} {
			if strings.Contains(req.URL.Path, "/"+name) {
				part = name
				break
			}
		}
		key := verb + " " + part
		if failed[key] >= 3 {
			return 0
		}
		failed[key]++
		return []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}[failed[key]-1]
	}
	w.requests.let(nil, storm)
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	revision = w.remove("b.yaml")
	w.fetch()
	w.applied(ks, revision)
	w.gone(w.configMap("b"))
	w.edit("a", "by hand", "somebody")
	w.value("a", "1")
	if err := w.client.Delete(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	w.gone(w.configMap("a"))
	w.requests.let(nil, nil)
	for _, wanted := range []string{"PATCH configmaps", "PATCH status", "DELETE configmaps", "WATCH configmaps"} {
		if failed[wanted] == 0 {
			t.Errorf("%s never failed: %v", wanted, failed)
		}
	}
}

// TestAPIServerThatGoesOnFailing ends in a condition that says so, and nothing is lost.
func TestAPIServerThatGoesOnFailing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	w.requests.let(nil, func(req *http.Request) int {
		if req.Method == http.MethodPatch && strings.Contains(req.URL.Path, "/configmaps/") {
			return http.StatusInternalServerError
		}
		return 0
	})
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	if message := w.refused(ks, meta.ReconciliationFailedReason); !strings.Contains(message, "ConfigMap/"+w.Namespace+"/a") {
		t.Errorf("the message must name the object: %q", message)
	}
	w.requests.let(nil, nil)
	w.applied(ks, second) // by itself, although its interval is an hour: nobody has refused anything
	w.value("a", "2")
}

// TestAPIServerThatIsAway takes the whole API server from the agent, and has somebody edit and delete meanwhile.
func TestAPIServerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	w.requests.let(func(*http.Request) bool { return true }, nil)
	w.requests.drop()
	w.edit("a", "by hand", "somebody")
	if err := w.client.Delete(t.Context(), w.configMap("b")); err != nil {
		t.Fatal(err)
	}
	w.requests.let(nil, nil)
	w.value("a", "1")
	w.value("b", "1")
	w.applied(ks, revision)
}

// TestWatchThatIsDropped drops the watches alone, so that an edit falls between two of them.
func TestWatchThatIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	watching := func(req *http.Request) bool { return req.URL.Query().Get("watch") != "" }
	for range 3 {
		w.requests.let(watching, nil)
		w.requests.drop()
		w.edit("a", "by hand", "somebody")
		w.requests.let(nil, nil)
		w.value("a", "1")
	}
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.applied(ks, second)
}

// TestDeletionThatFailsSaysWhy deletes a Kustomization whose account may not delete.
func TestDeletionThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}})
	w.grant("deployer", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch", "create", "patch"}})
	w.source()
	ks := w.kustomization("shop", withServiceAccount("deployer"), func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = &metav1.Duration{Duration: time.Second} })
	w.applied(ks, revision)
	if err := w.client.Delete(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	until(w, ks, "it says why it is still there", func() bool {
		c := ready(ks.Status.Conditions)
		return c.Reason == meta.PruneFailedReason && strings.Contains(c.Message, "ConfigMap/"+w.Namespace+"/a") &&
			strings.Contains(c.Message, "deployer") && strings.Contains(c.Message, "trying again within")
	})
	w.event(ks, meta.PruneFailedReason, "deployer")
	w.value("a", "1")
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}}
	until(w, role, "it is there", func() bool { return true })
	update(w, role, func(r *rbacv1.Role) { r.Rules[0].Verbs = []string{"*"} })
	w.gone(ks)
	w.gone(w.configMap("a"))
}

// TestNamesakeIsNotTakenForTheOneThatIsGone makes a Kustomization again under the same name before its end was seen.
func TestNamesakeIsNotTakenForTheOneThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	first := w.kustomization("shop")
	w.applied(first, revision)
	for range 3 {
		update(w, first, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true })
		free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := w.client.Patch(t.Context(), first, free); err != nil {
			t.Fatal(err)
		}
		if err := w.client.Delete(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		second := w.kustomization("shop")
		w.applied(second, revision)
		if second.UID == first.UID || second.Status.Inventory == nil || len(second.Status.Inventory.Entries) != 1 {
			t.Fatalf("the new one must be looked at for itself: %v", second.Status)
		}
		first = second
	}
}

// TestNobodyKnocksAllTheTime counts what is asked of an API server that is away, and of the Git server, while there is a new commit to tell of.
func TestNobodyKnocksAllTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	var asked atomic.Int64
	url := w.front(&asked)
	w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL, r.Spec.Interval = url, metav1.Duration{Duration: time.Second}
	})
	ks := w.kustomization("shop")
	w.applied(ks, first)

	var knocks atomic.Int64
	asked.Store(0)
	w.requests.let(func(*http.Request) bool { knocks.Add(1); return true }, nil)
	w.requests.drop()
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	const away = 8 * time.Second
	<-time.After(away)
	w.requests.let(nil, nil)
	if n := knocks.Load(); n == 0 || n > 120 {
		t.Errorf("in %s the API server was asked %d times", away, n)
	}
	if n := asked.Load(); n == 0 || n > 2*int64(away/time.Second) {
		t.Errorf("in %s the Git server was asked %d times, with an interval of a second", away, n)
	}
	w.applied(ks, second)
	w.value("a", "2")
}
