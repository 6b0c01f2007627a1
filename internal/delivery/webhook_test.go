package delivery_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/agent"
)

// freeAddress is one that nobody listens at.
func freeAddress() string {
	probe := httptest.NewServer(http.NotFoundHandler())
	defer probe.Close()
	return probe.Listener.Addr().String()
}

// hook creates a Receiver for the source, and returns what sends GitHub's webhook for a push to an agent.
func (w *world) hook(kind, name string) (send func(address string)) {
	w.Helper()
	const token = "hook-token"
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook", Namespace: w.Namespace}, StringData: map[string]string{"token": token}})
	obj := &notificationv1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "hook", Namespace: w.Namespace},
		Spec: notificationv1.ReceiverSpec{
			Type: "github", Events: []string{"push"}, SecretRef: &meta.LocalObjectReference{Name: "hook"},
			Resources: []notificationv1.ReceiverResource{{
				CrossNamespaceObjectReference: notificationv1.CrossNamespaceObjectReference{Kind: kind, Name: name},
			}},
		},
	}
	w.create(obj)
	until(w, obj, "it is ready", func() bool { return ready(obj.Status.Conditions).Status == metav1.ConditionTrue })
	return func(address string) {
		w.Helper()
		const body = `{"ref":"refs/heads/main"}`
		mac := hmac.New(sha256.New, []byte(token))
		mac.Write([]byte(body))
		status := 0
		w.poll("the webhook is taken", func() bool {
			req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "http://"+address+obj.Status.WebhookPath, strings.NewReader(body))
			if err != nil {
				w.Fatal(err)
			}
			req.Header.Set("X-GitHub-Event", "push")
			req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false // the agent is starting
			}
			defer resp.Body.Close()
			status = resp.StatusCode
			return status == http.StatusOK
		}, &status)
	}
}

// TestWebhookAppliesAtOnce has intervals of an hour: what a push brings is applied because the webhook came.
func TestWebhookAppliesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *agent.Options) { o.ReceiverAddress = freeAddress() })
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	send := w.hook(sourcev1.GitRepositoryKind, "shop")
	send(w.options.ReceiverAddress) // until its cache has it

	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.requests.take()
	send(w.options.ReceiverAddress)
	w.applied(ks, second)
	w.value("a", "2")
	prefix := "PATCH /apis/source.toolkit.fluxcd.io/v1/namespaces/" + w.Namespace + "/gitrepositories/shop"
	if asked := w.requests.take(); slices.Contains(asked, prefix) || !slices.Contains(asked, prefix+"/status") {
		t.Errorf("the agent wakes its own source without a request, and writes its status: %v", asked)
	}
	until(w, repo, "nobody has asked by annotation", func() bool { return repo.Annotations[meta.ReconcileRequestAnnotation] == "" })
}

// TestWebhookToAStandby sends it to the replica that doesn't lead: it is not lost.
func TestWebhookToAStandby(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stop() // the namespace of the lease is known only now
	w.options.LeaderElect, w.options.LeaseNamespace, w.options.ReceiverAddress = true, w.Namespace, freeAddress()
	w.startAgent()
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	send := w.hook(sourcev1.GitRepositoryKind, "shop")

	w.options.ReceiverAddress, w.options.DataDir = freeAddress(), t.TempDir()
	w.startAgent()
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	send(w.options.ReceiverAddress)
	w.applied(ks, second)
	until(w, repo, "the standby has asked the leader by annotation", func() bool { return repo.Annotations[meta.ReconcileRequestAnnotation] != "" })
}
