package receiver_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/delivery/receiver"
)

func TestPathIsFluxs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	obj := w.receiver("generic")
	w.served(obj)
	if want := fmt.Sprintf("/hook/%x", sha256.Sum256([]byte(planted+"push"+w.Namespace))); obj.Status.WebhookPath != want {
		t.Errorf("path %s, want %s", obj.Status.WebhookPath, want)
	}
	ready := apimeta.FindStatusCondition(obj.Status.Conditions, meta.ReadyCondition)
	if ready.Reason != meta.SucceededReason || ready.Message != "Receiver initialized for path: "+obj.Status.WebhookPath {
		t.Errorf("Ready says %s: %s", ready.Reason, ready.Message)
	}
	if len(obj.Status.Conditions) != 1 || obj.Status.ObservedGeneration != obj.Generation {
		t.Errorf("status %+v", obj.Status)
	}
	if said.contain(planted) || said.contain(obj.Status.WebhookPath) {
		t.Error("the log has the token, or the path that is made of it")
	}
}

func TestMissingTokenIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	obj := w.receiver("generic")
	if message := w.refused(obj, apiv1.TokenNotFoundReason); !strings.Contains(message, "'"+w.Namespace+"/hook' not found") {
		t.Errorf("the message must name the Secret: %q", message)
	}
	if apimeta.FindStatusCondition(obj.Status.Conditions, meta.StalledCondition) != nil ||
		!apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.ReconcilingCondition) || obj.Status.WebhookPath != "" {
		t.Errorf("it goes on trying and has no path: %+v", obj.Status)
	}
	w.secret(planted)
	w.served(obj)
}

func TestRequestAndRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.secret(planted)
	obj := w.receiver("generic")
	w.served(obj)
	before := obj.Status.WebhookPath
	w.update(secret, func() { secret.Data = map[string][]byte{"token": []byte("another")} })
	w.update(obj, func() { obj.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
	w.until(obj, "the request is answered", func() bool { return obj.Status.LastHandledReconcileAt == "now" })
	if obj.Status.WebhookPath == before || obj.Status.WebhookPath != obj.GetWebhookPath("another") {
		t.Errorf("path %s", obj.Status.WebhookPath)
	}
	w.served(obj)
	w.post(w.url+before, nil, "", http.StatusNotFound)
}

func TestWhatCanNotBeServedIsStalled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*apiv1.ReceiverSpec)
		reason string
		says   string
	}{
		"a type that is not served": {func(s *apiv1.ReceiverSpec) { s.Type = "bitbucket" }, "UnsupportedField", "spec.type: bitbucket"},
		"OIDC is not served": {func(s *apiv1.ReceiverSpec) {
			s.Type, s.SecretRef = "generic-oidc", nil
			s.OIDCProviders = []apiv1.OIDCProvider{{IssuerURL: "https://issuer.example.com", Validations: []apiv1.OIDCValidation{{Expression: "true", Message: "no"}}}}
		}, "UnsupportedField", "spec.type: generic-oidc"},
		"a filter with a mistake":              {func(s *apiv1.ReceiverSpec) { s.ResourceFilter = "req.a ==" }, "InvalidCELExpression", "spec.resourceFilter"},
		"a filter that is not a question":      {func(s *apiv1.ReceiverSpec) { s.ResourceFilter = "1 + 1" }, "InvalidCELExpression", "not true or false"},
		"a filter that reads what isn't there": {func(s *apiv1.ReceiverSpec) { s.ResourceFilter = "env.HOME == ''" }, "InvalidCELExpression", "env"},
		"a filter that is too long":            {func(s *apiv1.ReceiverSpec) { s.ResourceFilter = "true" + strings.Repeat(" ", 17<<10) }, "InvalidCELExpression", "limit"},
		"a resource's filter with a mistake":   {func(s *apiv1.ReceiverSpec) { s.Resources[0].Filter = ")" }, "InvalidCELExpression", "spec.resources[0]: filter"},
		"all without labels":                   {func(s *apiv1.ReceiverSpec) { s.Resources[0].Name = "*" }, apiv1.ValidationFailedReason, "matchLabels are empty"},
		"labels without all":                   {func(s *apiv1.ReceiverSpec) { s.Resources[0].MatchLabels = map[string]string{"a": "b"} }, apiv1.ValidationFailedReason, "need the name '*'"},
		"a kind of another group":              {func(s *apiv1.ReceiverSpec) { s.Resources[0].APIVersion = "rbac.authorization.k8s.io/v1" }, apiv1.ValidationFailedReason, "source.toolkit.fluxcd.io"},
		"another namespace":                    {func(s *apiv1.ReceiverSpec) { s.Resources[0].Namespace = "kube-system" }, "AccessDenied", "cross-namespace"},
		"no name of a Secret":                  {func(s *apiv1.ReceiverSpec) { s.SecretRef.Name = "" }, apiv1.ValidationFailedReason, "spec.secretRef.name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *receiver.Options) { o.NoCrossNamespaceRefs = true })
			w.secret(planted)
			obj := w.receiver("generic", tc.change)
			if message := w.refused(obj, tc.reason); !strings.Contains(message, tc.says) {
				t.Errorf("the message must say %q: %s", tc.says, message)
			}
			if !apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.StalledCondition) {
				t.Error("only a person can go on from here: it must be Stalled")
			}
			w.update(obj, func() {
				obj.Spec = apiv1.ReceiverSpec{
					Type: "generic", SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "shop")},
				}
			})
			w.served(obj)
			if apimeta.FindStatusCondition(obj.Status.Conditions, meta.StalledCondition) != nil {
				t.Error("Stalled stays after the spec is right")
			}
		})
	}
}

func TestNamespacesAreFreeWithoutTheFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	other := w.NewNamespace(t)
	repo := gitRepository("shop", nil)
	repo.Namespace = other
	if err := w.client.Create(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	url := w.served(w.receiver("generic", func(s *apiv1.ReceiverSpec) { s.Resources[0].Namespace = other }))
	w.post(url, nil, "", http.StatusOK)
	w.until(repo, "it is asked for", func() bool { return requested(repo) != "" })
}

func TestSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own.kinds["GitRepository"] = true
	w.secret(planted)
	obj := w.receiver("generic")
	url := w.served(obj)
	w.update(obj, func() { obj.Spec.Suspend = true })
	w.until(obj, "the server knows", func() bool {
		status, _ := w.send(http.MethodPost, url, nil, nil)
		return status == http.StatusServiceUnavailable
	})
	w.own.take()
	w.post(url, nil, "", http.StatusServiceUnavailable)
	if woken := w.own.take(); len(woken) > 0 {
		t.Errorf("a suspended Receiver has woken %v", woken)
	}
	w.update(obj, func() { obj.Spec.Suspend = false })
	w.served(obj)
}

func TestFluxsFinalizerIsLetGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret(planted)
	obj := &apiv1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "push", Finalizers: []string{apiv1.NotificationFinalizer}},
		Spec: apiv1.ReceiverSpec{
			Type: "generic", SecretRef: &meta.LocalObjectReference{Name: "hook"}, Resources: []apiv1.ReceiverResource{resource("GitRepository", "shop")},
		},
	}
	w.create(obj)
	url := w.served(obj)
	if err := w.client.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "hook"}}
	w.until(probe, "the Receiver is gone", func() bool {
		return client.IgnoreNotFound(w.client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)) == nil &&
			w.client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj) != nil
	})
	w.until(probe, "its address is gone", func() bool {
		status, _ := w.send(http.MethodPost, url, nil, nil)
		return status == http.StatusNotFound
	})
}
