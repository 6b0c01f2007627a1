package delivery_test

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSubstitutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "${region} ${token} ${size:=small}")})
	w.source()
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "vars", Namespace: w.Namespace}, Data: map[string]string{"region": "north", "token": "overridden"}})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vars", Namespace: w.Namespace}, StringData: map[string]string{"token": "s3cr3t-value"}}
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{
			{Kind: "ConfigMap", Name: "vars"}, {Kind: "Secret", Name: "vars"}, {Kind: "Secret", Name: "absent", Optional: true},
		}}
	})
	if message := w.refused(ks, meta.BuildFailedReason); !strings.Contains(message, "vars") || !strings.Contains(message, "not found") {
		t.Errorf("the message must name the Secret that is missing: %q", message)
	}
	w.create(secret)
	w.request(ks)
	w.applied(ks, revision)
	w.value("a", "north s3cr3t-value small")

	update(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"token": "rotated-value"} })
	w.request(ks)
	w.value("a", "north rotated-value small")

	w.commit(map[string]string{"a.yaml": configMapFile("a", "${token}") + "${token}: true\n"})
	w.fetch()
	message := w.refused(ks, meta.ReconciliationFailedReason)
	if strings.Contains(message, "rotated-value") {
		t.Errorf("a secret shows in the status: %q", message)
	}
}
