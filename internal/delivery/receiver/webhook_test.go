package receiver_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // as GitHub's older header
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func sign(of func() hash.Hash, name, body string) string {
	mac := hmac.New(of, []byte(planted))
	_, _ = io.WriteString(mac, body)
	return name + "=" + hex.EncodeToString(mac.Sum(nil))
}

// The shapes of what GitHub and GitLab send for a push, cut to what matters.
const (
	githubPush = `{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",` +
		`"repository":{"id":186853002,"full_name":"team/shop","clone_url":"https://github.com/team/shop.git"},"commits":[{"id":"59b20b8d"}]}`
	githubPing = `{"zen":"Keep it logically awesome.","hook_id":30,"hook":{"type":"Repository","active":true,"events":["push"]}}`
	gitlabPush = `{"object_kind":"push","event_name":"push","ref":"refs/heads/main","checkout_sha":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7",` +
		`"project":{"id":15,"path_with_namespace":"team/shop","git_http_url":"https://gitlab.example.com/team/shop.git"}}`
)

func githubHeader(event, body string) map[string]string {
	return map[string]string{
		"X-GitHub-Event": event, "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "User-Agent": "GitHub-Hookshot/044aadd",
		"Content-Type": "application/json", "X-Hub-Signature-256": sign(sha256.New, "sha256", body), "X-Hub-Signature": sign(sha1.New, "sha1", body),
	}
}

func gitlabHeader(event, token string) map[string]string {
	return map[string]string{"X-Gitlab-Event": event, "X-Gitlab-Token": token, "Content-Type": "application/json", "User-Agent": "GitLab/17.0"}
}

func without(header map[string]string, names ...string) map[string]string {
	for _, name := range names {
		delete(header, name)
	}
	return header
}

func with(header map[string]string, name, value string) map[string]string {
	header[name] = value
	return header
}

func TestWhoMayWake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	urls := map[string]string{}
	for _, kind := range []string{"generic", "generic-hmac", "github", "gitlab"} {
		obj := &apiv1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: kind}, Spec: apiv1.ReceiverSpec{
			Type: kind, SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "shop")},
		}}
		switch kind {
		case "github":
			obj.Spec.Events = []string{"ping", "push"}
		case "gitlab":
			obj.Spec.Events = []string{"Push Hook", "Tag Push Hook"}
		}
		w.create(obj)
		urls[kind] = w.served(obj)
	}
	for _, tc := range []struct {
		reason string
		kind   string
		header map[string]string
		body   string
		status int
		woken  bool
	}{
		{"the address is the proof of a generic call", "generic", nil, "", http.StatusOK, true},
		{"any body will do", "generic", map[string]string{"Content-Type": "application/json"}, "{not json", http.StatusOK, true},

		{"a signed call", "generic-hmac", map[string]string{"X-Signature": sign(sha256.New, "sha256", "x")}, "x", http.StatusOK, true},
		{"with SHA-512", "generic-hmac", map[string]string{"X-Signature": sign(sha512.New, "sha512", "x")}, "x", http.StatusOK, true},
		{"with SHA-1", "generic-hmac", map[string]string{"X-Signature": sign(sha1.New, "sha1", "x")}, "x", http.StatusOK, true},
		{"an empty body can be signed", "generic-hmac", map[string]string{"X-Signature": sign(sha256.New, "sha256", "")}, "", http.StatusOK, true},
		{"another body than was signed", "generic-hmac", map[string]string{"X-Signature": sign(sha256.New, "sha256", "x")}, "y", http.StatusUnauthorized, false},
		{"no signature", "generic-hmac", nil, "x", http.StatusUnauthorized, false},
		{"another algorithm", "generic-hmac", map[string]string{"X-Signature": "md5=d41d8cd98f00b204e9800998ecf8427e"}, "x", http.StatusUnauthorized, false},
		{"GitHub's header means nothing here", "generic-hmac", map[string]string{"X-Hub-Signature-256": sign(sha256.New, "sha256", "x")}, "x", http.StatusUnauthorized, false},

		{"a push", "github", githubHeader("push", githubPush), githubPush, http.StatusOK, true},
		{"a ping that is listed", "github", githubHeader("ping", githubPing), githubPing, http.StatusOK, true},
		{"events are told apart without case", "github", githubHeader("PUSH", githubPush), githubPush, http.StatusOK, true},
		{"an event that isn't listed", "github", githubHeader("issues", githubPush), githubPush, http.StatusOK, false},
		{"the older header alone", "github", without(githubHeader("push", githubPush), "X-Hub-Signature-256"), githubPush, http.StatusOK, true},
		{"no signature", "github", without(githubHeader("push", githubPush), "X-Hub-Signature-256", "X-Hub-Signature"), githubPush, http.StatusUnauthorized, false},
		{
			"the newer header counts, even if the older one is right", "github",
			with(githubHeader("push", githubPush), "X-Hub-Signature-256", sign(sha256.New, "sha256", "other")), githubPush, http.StatusUnauthorized, false,
		},
		{"a signature that is cut", "github", with(githubHeader("push", githubPush), "X-Hub-Signature-256", sign(sha256.New, "sha256", githubPush)[:40]), githubPush, http.StatusUnauthorized, false},
		{"the signature of another delivery", "github", githubHeader("push", githubPing), githubPush, http.StatusUnauthorized, false},

		{"a push", "gitlab", gitlabHeader("Push Hook", planted), gitlabPush, http.StatusOK, true},
		{"an event that isn't listed", "gitlab", gitlabHeader("Note Hook", planted), gitlabPush, http.StatusOK, false},
		{"another token", "gitlab", gitlabHeader("Push Hook", "guess"), gitlabPush, http.StatusUnauthorized, false},
		{"the beginning of the token", "gitlab", gitlabHeader("Push Hook", planted[:8]), gitlabPush, http.StatusUnauthorized, false},
		{"no token", "gitlab", without(gitlabHeader("Push Hook", ""), "X-Gitlab-Token"), gitlabPush, http.StatusUnauthorized, false},
	} {
		status, answer := w.send(http.MethodPost, urls[tc.kind], tc.header, []byte(tc.body))
		woken := w.own.take()
		if status != tc.status || (len(woken) > 0) != tc.woken {
			t.Errorf("%s: %s: answered %d %q and woke %v; want %d, woken: %t", tc.kind, tc.reason, status, answer, woken, tc.status, tc.woken)
		}
		if strings.Contains(answer, planted) || (len(tc.body) > 4 && strings.Contains(answer, tc.body)) {
			t.Errorf("%s: %s: the answer quotes a secret or what was sent: %q", tc.kind, tc.reason, answer)
		}
	}
	if said.contain(planted) {
		t.Error("the log has the token")
	}
}

func TestOnlyPostToAnAddressThatExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	url := w.served(w.receiver("generic"))
	for _, tc := range []struct {
		method, url string
		want        int
	}{
		{http.MethodGet, url, http.StatusMethodNotAllowed},
		{http.MethodPut, url, http.StatusMethodNotAllowed},
		{http.MethodPost, url + "0", http.StatusNotFound},
		{http.MethodPost, url[:len(url)-1], http.StatusNotFound},
		{http.MethodPost, w.url + "/hook/" + strings.Repeat("0", 64), http.StatusNotFound},
		{http.MethodPost, w.url + "/hook/", http.StatusNotFound},
		{http.MethodPost, w.url + "/", http.StatusNotFound},
	} {
		if status, _ := w.send(tc.method, tc.url, nil, nil); status != tc.want {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.url, status, tc.want)
		}
	}
}

func TestOthersAreAskedByAnnotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	ks := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
		},
	}
	w.create(ks)
	obj := w.receiver("generic", func(s *apiv1.ReceiverSpec) {
		s.Resources = []apiv1.ReceiverResource{resource("Kustomization", "shop"), resource("Kustomization", "nowhere"), resource("HelmRelease", "shop")}
	})
	answer := w.post(w.served(obj), nil, "", http.StatusOK)
	if answer != "woken: 1, not meant: 0, not found: 2\n" {
		t.Errorf("answer %q", answer)
	}
	w.until(ks, "it is asked for", func() bool {
		_, err := time.Parse(time.RFC3339Nano, requested(ks))
		return err == nil
	})
	var events corev1.EventList
	w.until(ks, "the event", func() bool {
		return w.client.List(t.Context(), &events, client.InNamespace(w.Namespace)) == nil && slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "ResourceNotFound" && e.InvolvedObject.Name == "push" && strings.Contains(e.Message, "Kustomization/"+w.Namespace+"/nowhere") &&
				strings.Contains(e.Message, "HelmRelease/"+w.Namespace+"/shop")
		})
	})
}

func TestLabelsAndFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	a, b, c := gitRepository("a", map[string]string{"team": "x"}), gitRepository("b", map[string]string{"team": "x"}), gitRepository("c", map[string]string{"team": "y"})
	a.Annotations = map[string]string{"repo": "team/shop"}
	w.create(a, b, c)
	json := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	byLabel := resource("GitRepository", "*", "team", "x")
	filtered := func(expr string) apiv1.ReceiverResource {
		r := byLabel
		r.Filter = expr
		return r
	}
	obj := w.receiver("generic", func(s *apiv1.ReceiverSpec) { s.Resources = []apiv1.ReceiverResource{byLabel} })
	url := w.served(obj)
	for _, tc := range []struct {
		reason    string
		resources []apiv1.ReceiverResource
		filter    string
		header    map[string]string
		body      string
		status    int
		woken     []string
	}{
		{"labels alone", []apiv1.ReceiverResource{byLabel}, "", nil, "", 200, []string{"GitRepository/a", "GitRepository/b"}},
		{"the same object by name and label is woken once", []apiv1.ReceiverResource{resource("GitRepository", "a"), byLabel}, "", nil, "", 200, []string{"GitRepository/a", "GitRepository/b"}},
		{
			"body and metadata",
			[]apiv1.ReceiverResource{byLabel},
			"has(res.metadata.annotations) && req.repository.full_name == res.metadata.annotations['repo']",
			json, githubPush, 200,
			[]string{"GitRepository/a"},
		},
		{"texts and optional values", []apiv1.ReceiverResource{byLabel}, "req.ref.split('/').last().value() == 'main' && res.metadata.name == 'b'", json, githubPush, 200, []string{"GitRepository/b"}},
		{"kind is there", []apiv1.ReceiverResource{byLabel}, "res.kind == 'GitRepository' && res.apiVersion == 'source.toolkit.fluxcd.io/v1'", nil, "", 200, []string{"GitRepository/a", "GitRepository/b"}},
		{"both filters must hold", []apiv1.ReceiverResource{filtered("res.metadata.name == 'a'")}, "req.ref != ''", json, githubPush, 200, []string{"GitRepository/a"}},
		{"a filter of one resource is none of another", []apiv1.ReceiverResource{filtered("res.metadata.name == 'a'"), resource("GitRepository", "c")}, "", json, "{}", 200, []string{"GitRepository/a", "GitRepository/c"}},
		{"nothing is admitted", []apiv1.ReceiverResource{byLabel}, "false", json, githubPush, 200, nil},
		{"what isn't sent as JSON is empty", []apiv1.ReceiverResource{byLabel}, "!has(req.ref)", nil, githubPush, 200, []string{"GitRepository/a", "GitRepository/b"}},
		{"a body that isn't what it says", []apiv1.ReceiverResource{byLabel}, "true", json, "{", 400, nil},
		{"a body that isn't an object", []apiv1.ReceiverResource{byLabel}, "true", json, "[1]", 400, nil},
		{"null is no object either", []apiv1.ReceiverResource{byLabel}, "true", json, "null", 400, nil},
		{"a field that isn't sent", []apiv1.ReceiverResource{byLabel}, "req.nothing == 1", json, githubPush, 422, nil},
		{"a field of another type", []apiv1.ReceiverResource{byLabel}, "req.ref", json, githubPush, 422, nil},
		{
			"an expression that costs too much",
			[]apiv1.ReceiverResource{byLabel},
			"req.l.all(a, req.l.all(b, req.l.all(c, a + b + c >= 0.0)))", json,
			`{"l":[` + strings.Repeat("1,", 200) + `1]}`, 422, nil,
		},
	} {
		w.update(obj, func() { obj.Spec.Resources, obj.Spec.ResourceFilter = tc.resources, tc.filter })
		w.until(obj, "the change is seen", func() bool { return obj.Status.ObservedGeneration == obj.Generation })
		w.settled(obj, url)
		w.own.take()
		status, answer := w.send(http.MethodPost, url, tc.header, []byte(tc.body))
		woken := w.own.take()
		slices.Sort(woken)
		if diff := cmp.Diff(tc.woken, woken); status != tc.status || diff != "" {
			t.Errorf("%s: answered %d %q, want %d; woken (-want +got):\n%s", tc.reason, status, answer, tc.status, diff)
		}
	}
}

// settled waits until the server's cache has the latest spec, which is seen by a Receiver that is made later: one watch brings both in order.
func (w *world) settled(obj *apiv1.Receiver, _ string) {
	w.Helper()
	later := obj.DeepCopy()
	later.ObjectMeta = metav1.ObjectMeta{GenerateName: "later-"}
	later.Status = apiv1.ReceiverStatus{}
	w.create(later)
	w.served(later)
	if err := w.client.Delete(w.Context(), later); err != nil {
		w.Fatal(err)
	}
}

func TestABurstIsAFewRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	repo := gitRepository("shop", nil)
	w.create(repo)
	url := w.served(w.receiver("generic"))
	w.until(repo, "it was asked for before", func() bool { return requested(repo) != "" })
	before := w.patches.Load()
	const burst = 40
	var all sync.WaitGroup
	for range burst {
		all.Go(func() {
			if status, answer := w.send(http.MethodPost, url, nil, nil); status != http.StatusOK {
				t.Errorf("answered %d %q", status, answer)
			}
		})
	}
	all.Wait()
	if n := w.patches.Load() - before; n == 0 || n > burst*3/4 {
		t.Errorf("%d calls at once cost %d requests", burst, n)
	}
}

func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	obj := w.receiver("generic-hmac")
	url := w.served(obj)
	big := strings.Repeat("x", 3<<20)
	w.post(url, map[string]string{"X-Signature": sign(sha256.New, "sha256", big)}, big, http.StatusOK)
	huge := strings.Repeat("x", 25<<20+1)
	w.post(url, map[string]string{"X-Signature": sign(sha256.New, "sha256", huge)}, huge, http.StatusRequestEntityTooLarge)

	w.update(obj, func() { obj.Spec.ResourceFilter = "true" })
	w.settled(obj, url)
	w.own.take()
	w.post(url, map[string]string{"X-Signature": sign(sha256.New, "sha256", big)}, big, http.StatusRequestEntityTooLarge)
	if status := w.sendUnannounced(url, sign(sha256.New, "sha256", big), big); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body that doesn't say how long it is: %d", status)
	}
	if woken := w.own.take(); len(woken) > 0 {
		t.Errorf("woken: %v", woken)
	}
}

// sendUnannounced sends a body in chunks, so that nobody knows its length before.
func (w *world) sendUnannounced(url, signature, body string) int {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, url, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("X-Signature", signature)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestSlowSendersHoldUpNobody has as many senders as may be inside at once that begin a body and never end it.
func TestSlowSendersHoldUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	slow := w.receiver("generic-hmac")
	url := w.served(slow)
	other := &apiv1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: apiv1.ReceiverSpec{
		Type: "generic", SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "other")},
	}}
	w.create(other)
	otherURL := w.served(other)
	for range 4 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "POST "+slow.Status.WebhookPath+" HTTP/1.1\r\nHost: hooks\r\nX-Signature: "+sign(sha256.New, "sha256", "")+"\r\nContent-Length: 1000\r\n\r\nslow")
		if err != nil {
			t.Fatal(err)
		}
	}
	w.until(slow, "the slow ones fill it", func() bool {
		status, _ := w.send(http.MethodPost, url, map[string]string{"X-Signature": sign(sha256.New, "sha256", "x")}, []byte("x"))
		return status == http.StatusTooManyRequests
	})
	w.own.take()
	w.post(otherURL, nil, "", http.StatusOK)
	if woken := w.own.take(); !slices.Equal(woken, []string{"GitRepository/other"}) {
		t.Errorf("woken: %v", woken)
	}
}

// TestANamespaceHoldsUpItselfOnly has somebody with many Receivers begin as many bodies as he can, and end none.
func TestANamespaceHoldsUpItselfOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	elsewhere := w.Namespace + "-b"
	if err := w.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: elsewhere}}); err != nil {
		t.Fatal(err)
	}
	victim := &apiv1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: "victim", Namespace: elsewhere}, Spec: apiv1.ReceiverSpec{
		Type: "generic", SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "victim")},
	}}
	for _, obj := range []client.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook", Namespace: elsewhere}, StringData: map[string]string{"token": planted}}, victim} {
		if err := w.client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	url := w.served(victim)
	for i := range 5 {
		slow := &apiv1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("slow-%d", i)}, Spec: apiv1.ReceiverSpec{
			Type: "generic-hmac", SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "shop")},
		}}
		w.create(slow)
		w.served(slow)
		for range 4 {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if _, err = io.WriteString(conn, "POST "+slow.Status.WebhookPath+" HTTP/1.1\r\nHost: hooks\r\nX-Signature: "+sign(sha256.New, "sha256", "")+"\r\nContent-Length: 1000\r\n\r\nslow"); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // at any of which all places may be taken
			w.post(url, nil, "", http.StatusOK)
		}
	}
}

func TestGuessersAreSlowedDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	url := w.served(w.receiver("gitlab"))
	refused := 0
	for range 30 {
		status, _ := w.send(http.MethodPost, url, gitlabHeader("Push Hook", "guess"), nil)
		switch status {
		case http.StatusTooManyRequests:
			refused++
		case http.StatusUnauthorized:
		default:
			t.Fatalf("a wrong token is answered %d", status)
		}
	}
	if refused == 0 {
		t.Error("thirty guesses in a row are all looked at")
	}
	w.until(gitlabObject(w), "the right token gets through after a while", func() bool {
		status, _ := w.send(http.MethodPost, url, gitlabHeader("Push Hook", planted), nil)
		return status == http.StatusOK
	})
}

func gitlabObject(w *world) client.Object {
	return &apiv1.Receiver{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "push"}}
}

func TestTheAPIServersTroubleIsNotTheSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	repo := gitRepository("shop", nil)
	w.create(repo)
	url := w.served(w.receiver("generic"))
	w.down.Store(true)
	if answer := w.post(url, nil, "", http.StatusInternalServerError); strings.Contains(answer, "refused by the test") {
		t.Errorf("the answer tells strangers about the inside: %q", answer)
	}
	w.down.Store(false)
	w.post(url, nil, "", http.StatusOK)
}
