package delivery_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

func substituting(refs ...kustomizev1.SubstituteReference) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: refs} }
}

func (w *world) variables(name string, data map[string]string) *corev1.ConfigMap {
	w.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}, Data: data}
	w.create(cm)
	return cm
}

// TestInputsWake: the interval is an hour, so it is the watch that wakes.
func TestInputsWake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "${region} ${token}")})
	w.source()
	vars := w.variables("vars", map[string]string{"region": "north"})
	ks := w.kustomization("shop", substituting(kustomizev1.SubstituteReference{Kind: "ConfigMap", Name: "vars"}, kustomizev1.SubstituteReference{Kind: "Secret", Name: "vars"}))
	w.refused(ks, meta.BuildFailedReason)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vars", Namespace: w.Namespace}, StringData: map[string]string{"token": "first"}}
	w.create(secret)
	w.applied(ks, revision)
	w.value("a", "north first")

	update(w, vars, func(cm *corev1.ConfigMap) { cm.Data["region"] = "south" })
	w.value("a", "south first")
	update(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"token": "second"} })
	w.value("a", "south second")
	w.applied(ks, revision)

	if err := w.client.Delete(w.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.refused(ks, meta.BuildFailedReason)
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vars", Namespace: w.Namespace}, StringData: map[string]string{"token": "second"}})
	w.applied(ks, revision)
}

// blindFor keeps the agent from watching ConfigMaps of that name one by one.
func (w *world) blindFor(name string) {
	w.requests.mu.Lock()
	defer w.requests.mu.Unlock()
	w.requests.refuse = func(r *http.Request) bool {
		return r.URL.Query().Get("fieldSelector") == "metadata.name="+name && strings.HasSuffix(r.URL.Path, "/configmaps")
	}
}

func often(k *kustomizev1.Kustomization) { k.Spec.Interval = metav1.Duration{Duration: time.Second} }

// TestInputsCostNothingAtRest: a change costs one request per object, and nothing is read by the clock where the watch is there. Where it
// isn't, each interval looks; that tells in the test that intervals have passed.
func TestInputsCostNothingAtRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blindFor("unseen")
	revision := w.commit(map[string]string{"seen/a.yaml": configMapFile("a", "${region}"), "unseen/b.yaml": configMapFile("b", "${region}")})
	w.source()
	seen, unseen := w.variables("seen", map[string]string{"region": "north"}), w.variables("unseen", map[string]string{"region": "north"})
	for _, name := range []string{"seen", "unseen"} {
		w.applied(w.kustomization(name, often, in(name), substituting(kustomizev1.SubstituteReference{Kind: "ConfigMap", Name: name})), revision)
	}
	w.requests.take()

	update(w, seen, func(cm *corev1.ConfigMap) { cm.Labels = map[string]string{"nothing": "new"} })
	reads := map[string]int{}
	w.poll("three intervals", func() bool {
		for _, r := range w.requests.take() {
			reads[strings.TrimPrefix(r, "GET /api/v1/namespaces/"+w.Namespace+"/configmaps/")]++
		}
		return reads["unseen"] >= 3
	}, reads)
	if len(reads) != 2 || reads["seen"] != 1 {
		t.Errorf("one read was needed, since a label isn't a value, and nothing else by the clock: %v", reads)
	}
	update(w, seen, func(cm *corev1.ConfigMap) { cm.Data["region"] = "south" })
	w.value("a", "south")
	update(w, unseen, func(cm *corev1.ConfigMap) { cm.Data["region"] = "south" })
	w.value("b", "south")
}

const encryptedSecret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: correct-horse\n"

func decryptWith(name string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops", SecretRef: &meta.LocalObjectReference{Name: name}}
	}
}

func (w *world) keys(name string, keys ...sopstest.Key) *corev1.Secret {
	var all []string
	for _, k := range keys {
		all = append(all, k.Identity)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
		StringData: map[string]string{"identity.agekey": strings.Join(all, "\n")},
	}
}

func TestDecrypts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, next := sopstest.NewKey(t), sopstest.NewKey(t)
	revision := w.commit(map[string]string{"a.yaml": sopstest.Manifests(t, encryptedSecret, "^stringData$", key)})
	w.source()
	ks := w.kustomization("shop", decryptWith("sops-keys"))
	if message := w.refused(ks, meta.BuildFailedReason); !strings.Contains(message, "sops-keys' not found; create it") {
		t.Errorf("the message must name the Secret that is missing: %q", message)
	}
	keys := w.keys("sops-keys", next)
	w.create(keys)
	if message := w.refused(ks, "DecryptionFailed"); !strings.Contains(message, key.Recipient) || !strings.Contains(message, "a.yaml") {
		t.Errorf("the message must name the file and the key that is missing: %q", message)
	}
	update(w, keys, func(s *corev1.Secret) { s.StringData = w.keys("", key, next).StringData })
	w.applied(ks, revision)
	got := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: w.Namespace}}
	until(w, got, "it is decrypted", func() bool { return string(got.Data["password"]) == "correct-horse" })

	// The key is rotated, then the file.
	revision = w.commit(map[string]string{"a.yaml": sopstest.Manifests(t, strings.Replace(encryptedSecret, "correct-horse", "battery-staple", 1), "^stringData$", next)})
	w.fetch()
	w.applied(ks, revision)
	until(w, got, "it is changed", func() bool { return string(got.Data["password"]) == "battery-staple" })
	update(w, keys, func(s *corev1.Secret) { s.StringData = w.keys("", key).StringData })
	w.refused(ks, "DecryptionFailed")

	w.commit(map[string]string{"a.yaml": strings.Replace(sopstest.Manifests(t, encryptedSecret, "^stringData$", key), "name: a", "name: b", 1)})
	w.fetch()
	until(w, ks, "the change by hand is refused", func() bool { return strings.Contains(ready(ks.Status.Conditions).Message, "MAC") })
}

func TestDecryptionIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
		k.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops", ServiceAccountName: "kms"}
	})
	if message := w.refused(ks, "UnsupportedField"); !strings.Contains(message, "spec.decryption.serviceAccountName") {
		t.Errorf("the message must name the field: %q", message)
	}
	if !slices.ContainsFunc(ks.Status.Conditions, func(c metav1.Condition) bool {
		return c.Type == meta.StalledCondition && c.Status == metav1.ConditionTrue
	}) {
		t.Error("only a person can correct that: it must be stalled")
	}
}
