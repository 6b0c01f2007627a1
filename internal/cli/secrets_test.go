package cli

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

const (
	plantedVariable = "tr0ub4dor-and-three"
	plantedSops     = "correct-horse-battery"
)

// sealed is a Kustomization whose manifests hold a value of a Secret and one that is encrypted in Git.
func (w *world) sealed(name, path string) *kustomizev1.Kustomization {
	k := kustomization(name, "shop")
	k.Namespace, k.Spec.Path, k.Spec.TargetNamespace = w.namespace, path, w.namespace
	k.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops", SecretRef: &meta.LocalObjectReference{Name: "sops-keys"}}
	k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "values"}}}
	k.Status = kustomizev1.KustomizationStatus{}
	return k
}

// What a Kustomization delivers has secrets of two kinds. The agent delivers them; no verb prints them, nor does the agent's log say them.
func TestVerbsPrintNoSecret(t *testing.T) {
	w := newWorld(t)
	key := sopstest.NewKey(t)
	encrypted := func(kind, name, field string) string {
		return sopstest.Manifests(t, "apiVersion: v1\nkind: "+kind+"\nmetadata:\n  name: "+name+"\n"+field+":\n  pin: "+plantedSops+"\n", "^pin$", key)
	}
	files := map[string]string{
		"deploy/variable.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: variable\n  annotations:\n    note: the pin is ${pin}\ndata:\n  pin: ${pin}\n",
		"deploy/secret.yaml":   encrypted("Secret", "sealed-secret", "stringData"),
		"deploy/open.yaml":     encrypted("ConfigMap", "sealed-open", "data"),
		// The API server refuses it and quotes what it refuses.
		"refused/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: refused\n  labels:\n    l: \"${pin}!\"\n",
	}
	url, revision := repository(t, files)
	w.has(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sops-keys"}, StringData: map[string]string{"identity.agekey": key.Identity}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values"}, StringData: map[string]string{"pin": plantedVariable}},
	)
	log := w.working("trace")
	w.slipway("create", "source", "git", "shop", "--url", url, "--branch", "main", "--timeout", "3m").want(t, ExitDone)
	for _, k := range []*kustomizev1.Kustomization{w.sealed("shop", "./deploy"), w.sealed("refused", "./refused")} {
		if err := w.Create(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	w.slipway("reconcile", "kustomization", "shop", "--timeout", "3m").want(t, ExitDone, revision)
	w.slipway("reconcile", "kustomization", "refused", "--timeout", "3m").want(t, ExitFailed, "refused")
	w.delivered("variable", plantedVariable)
	w.delivered("sealed-open", plantedSops)
	// The working copy has more of both, so that diff and why have something to show.
	changed := map[string]string{"secret.yaml": files["deploy/secret.yaml"], "open.yaml": files["deploy/open.yaml"]}
	changed["variable.yaml"] = strings.Replace(files["deploy/variable.yaml"], "  pin: ${pin}\n", "  pin: ${pin}\n  more: ${pin}-${pin}\n", 1)
	changed["other.yaml"] = encrypted("ConfigMap", "sealed-other", "data")
	dir := checkout(t, changed)
	w.eventually(func() error { // Events are written when there is time
		if got := w.slipway("events"); !strings.Contains(got.out, "refused") {
			return errors.New(got.out + got.err)
		}
		return nil
	})
	for name, tc := range map[string]struct {
		reason string
		args   []string
		code   int
		says   string
	}{
		"Diff":           {"what is about to come", []string{"diff", "kustomization", "shop", "--path", dir}, ExitDone, "/variable configured"},
		"DiffJSON":       {"for machines", []string{"diff", "kustomization", "shop", "--path", dir, "-o", "json"}, ExitDone, "variable"},
		"Why":            {"a variable", []string{"why", "configmap/variable", "data.pin"}, ExitDone, "values data.pin"},
		"WhyInText":      {"a variable within a text", []string{"why", "configmap/variable", "metadata.annotations.note"}, ExitDone, "note"},
		"WhyAll":         {"all fields", []string{"why", "configmap/variable"}, ExitDone, "data.pin"},
		"WhyAllJSON":     {"for machines", []string{"why", "configmap/variable", "-o", "json"}, ExitDone, "data.pin"},
		"WhySealed":      {"a Secret from an encrypted file", []string{"why", "secret/sealed-secret"}, ExitDone, "sealed-secret"},
		"WhySealedOpen":  {"what else is encrypted", []string{"why", "configmap/sealed-open"}, ExitDone, "sealed-open"},
		"WhySealedField": {"and one field", []string{"why", "configmap/sealed-open", "data.pin", "-o", "json"}, ExitDone, "pin"},
		"Tree":           {"what there is", []string{"tree", "kustomization", "shop"}, ExitDone, "variable"},
		"TreeJSON":       {"for machines", []string{"tree", "kustomization", "shop", "-o", "json"}, ExitDone, "variable"},
		"Export":         {"for Git", []string{"export", "all", "--all"}, ExitDone, "name: shop"},
		"Events":         {"the API server's refusal among them", []string{"events"}, ExitDone, "refused"},
		"EventsJSON":     {"for machines", []string{"events", "-o", "json"}, ExitDone, "refused"},
		"Get":            {"the message of a condition", []string{"get", "all", "-o", "yaml"}, ExitDone, "refused"},
		"Trace":          {"where an object comes from", []string{"trace", "configmap/variable"}, ExitDone, "shop"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.slipway(tc.args...)
			got.want(t, tc.code, tc.says)
			w.discreet(t, key, strings.Join(tc.args, " ")+" ("+tc.reason+")", got.out+got.err)
		})
	}
	logged := log()
	if !strings.Contains(logged, "Reconciliation failed") {
		t.Errorf("the log doesn't speak of what failed: the search proves nothing\n%s", logged)
	}
	w.discreet(t, key, "the agent's log", logged)
}

// delivered checks that a ConfigMap has the secret, so that there is something to hide.
func (w *world) delivered(name, pin string) {
	w.t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}}
	w.reload(cm)
	if cm.Data["pin"] != pin {
		w.t.Fatalf("%s has pin %q, want %q", name, cm.Data["pin"], pin)
	}
}

// discreet checks that a text has no secret in it, whole, in part or encoded.
func (w *world) discreet(t *testing.T, key sopstest.Key, what, text string) {
	t.Helper()
	for _, secret := range []string{plantedVariable, plantedSops} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), secret[:10]} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s shows a secret: …%s…", what, text[max(0, at-200):min(len(text), at+60)])
			}
		}
	}
	if strings.Contains(text, key.Identity) {
		t.Errorf("%s shows the private key", what)
	}
}

// client-go logs the bodies of requests and answers from verbosity 8 on, and addresses and headers from 6 on.
func TestNoLevelLogsBodies(t *testing.T) {
	for _, level := range []string{"error", "info", "debug", "trace"} {
		for _, encoding := range []string{"json", "console"} {
			var errs paper
			logger, err := newApp(Streams{Err: &errs}).logger(level, encoding)
			if err != nil {
				t.Fatal(err)
			}
			for verbosity := range 11 {
				enabled := logger.V(verbosity).Enabled()
				logger.V(verbosity).Info("the body of a Secret")
				if verbosity > 5 && (enabled || errs.String() != "" && strings.Count(errs.String(), "\n") > 6) {
					t.Errorf("--log-level=%s logs verbosity %d", level, verbosity)
				}
			}
			if most := map[string]int{"error": 0, "info": 1, "debug": 2, "trace": 3}[level]; strings.Count(errs.String(), "the body") != most {
				t.Errorf("--log-level=%s --log-encoding=%s logs %d verbosities, want %d", level, encoding, strings.Count(errs.String(), "the body"), most)
			}
		}
	}
}
