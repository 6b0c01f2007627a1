package cli

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

// What is encrypted in Git is compared as it would be delivered, and shown to nobody.
func TestDiffDecrypts(t *testing.T) {
	w := newWorld(t)
	key := sopstest.NewKey(t)
	shop := kustomization("shop", "shop")
	shop.Spec.TargetNamespace = w.namespace
	shop.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops", SecretRef: &meta.LocalObjectReference{Name: "sops-keys"}}
	w.has(
		shop,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sops-keys"}, StringData: map[string]string{"identity.agekey": key.Identity}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"colour": "red", "pin": "swordfish-one"}},
	)
	plain := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n  pin: swordfish-two\n"
	dir := checkout(t, map[string]string{"settings.yaml": sopstest.Manifests(t, plain, "^pin$", key)})

	got := w.slipway("diff", "kustomization", "shop", "--path", dir)
	got.want(t, ExitDone, "ConfigMap/"+w.namespace+"/settings configured", "+  colour: blue")
	for _, secret := range []string{"swordfish-two", "ENC[", key.Identity} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("%q is shown:\n%s", secret, got.out)
		}
	}
}
