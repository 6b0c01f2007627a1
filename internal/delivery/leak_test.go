package delivery_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

// Secrets that are planted, each in another place. They are no valid labels, so that the API server quotes them when it refuses one.
const (
	plantedSops       = "correct horse battery staple!"
	plantedSubstitute = "tr0ub4dor and three more!"
	plantedGit        = "swordfish of the git server!"
	plantedKey        = "AGE-SECRET-KEY-1NOTAKEYATALL"
)

func planted() []string { return []string{plantedSops, plantedSubstitute, plantedGit, plantedKey} }

// journal keeps all that is logged.
type journal struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.String()
}

// TestSecretsNeverLeak fails in every way that a secret takes part in, and then searches all that an agent says.
func TestSecretsNeverLeak(t *testing.T) {
	t.Parallel()
	j, spans, registry := &journal{}, &collector{}, prometheus.NewRegistry()
	server := httptest.NewServer(spans)
	t.Cleanup(server.Close)
	w := newWorld(t, func(o *agent.Options) {
		o.Metrics, o.Traces, o.OTLPEndpoint = registry, true, server.URL
		o.Log = funcr.NewJSON(func(line string) {
			j.mu.Lock()
			defer j.mu.Unlock()
			fmt.Fprintln(&j.lines, line)
		}, funcr.Options{Verbosity: 10}) // client-go logs bodies from 8 on, if it is let
	})
	key := sopstest.NewKey(t)
	label := func(kind, name, value string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata:\n  name: %s\n  labels:\n    l: %s\n", kind, name, value)
	}
	w.commit(map[string]string{
		"sops-label/a.yaml":             sopstest.Manifests(t, label("ConfigMap", "a", plantedSops), "^labels$", key),
		"sops-kind/a.yaml":              sopstest.Manifests(t, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: b\nstringData: "+plantedSops+"\n", "^stringData$", key),
		"sops-type/a.yaml":              sopstest.Manifests(t, "apiVersion: v1\nkind: Service\nmetadata:\n  name: c\nspec:\n  clusterIP: "+plantedSops+"\n", "^spec$", key),
		"sops-mac/a.yaml":               sopstest.Manifests(t, label("ConfigMap", "d", plantedSops), "^labels$", key) + "more: x\n",
		"sops-patch/a.yaml":             configMapFile("e", "1"),
		"sops-patch/p.yaml":             sopstest.Manifests(t, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\ndata:\n  a: "+plantedSops+"\n", "^data$", key),
		"sops-patch/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
		"sub-label/a.yaml":              label("ConfigMap", "f", "${secret}"),
		"sub-broken/a.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: g}\ndata:\n  a: \"${secret}\"\n  b: \"${quote}\"\n",
		"sub-missing/a.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h}\ndata: {a: \"${secret} ${missing}\"}\n",
		"bad-key/a.yaml":                sopstest.Manifests(t, label("ConfigMap", "i", "x"), "^labels$", key),
		"good/a.yaml":                   sopstest.Manifests(t, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: good\nstringData:\n  a: "+plantedSops+"\n", "^stringData$", key),
	})
	w.source()
	w.create(w.keys("sops-keys", key))
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "broken-keys", Namespace: w.Namespace}, StringData: map[string]string{"identity.agekey": plantedKey}})
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "values", Namespace: w.Namespace},
		StringData: map[string]string{"secret": plantedSubstitute, "quote": "\"" + plantedSubstitute},
	})
	for _, name := range []string{"sops-label", "sops-kind", "sops-type", "sops-mac", "sops-patch"} {
		w.fails(w.kustomization(name, in(name), decryptWith("sops-keys")))
	}
	for _, name := range []string{"sub-label", "sub-broken", "sub-missing"} {
		w.fails(w.kustomization(name, in(name), substituting(kustomizev1.SubstituteReference{Kind: "Secret", Name: "values"})))
	}
	w.fails(w.kustomization("bad-key", in("bad-key"), decryptWith("broken-keys")))
	good := w.kustomization("good", in("good"), decryptWith("sops-keys"))
	until(w, good, "it is ready", func() bool { return ready(good.Status.Conditions).Status == metav1.ConditionTrue })
	w.refusedByGit()

	var events corev1.EventList
	var kustomizations kustomizev1.KustomizationList
	var repositories sourcev1.GitRepositoryList
	said := map[string]string{}
	for what, list := range map[string]client.ObjectList{"events": &events, "Kustomizations": &kustomizations, "GitRepositories": &repositories} {
		if err := w.client.List(t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		said[what] = string(text)
	}
	said["metrics"] = gathered(t, registry) // the agent takes its own away when it ends
	w.stop()                                // events are written, logs are complete, the last spans are sent
	said["logs"], said["traces"] = j.String(), spans.String()
	said["controller-runtime's metrics"] = gathered(t, metrics.Registry)
	for _, what := range []string{"events", "Kustomizations", "logs", "traces", "metrics"} {
		if !strings.Contains(said[what], "sops-label") {
			t.Errorf("the %s don't speak of what failed: the search proves nothing", what)
		}
	}
	for what, text := range said {
		if len(text) < 100 {
			t.Errorf("there are no %s: the search proves nothing", what)
		}
		for _, secret := range planted() {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), secret[:12]} {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("a secret shows in the %s: …%s…", what, text[max(0, at-200):min(len(text), at+80)])
				}
			}
		}
		if strings.Contains(text, key.Identity) {
			t.Errorf("the private key shows in the %s", what)
		}
	}
}

// gathered returns all series of a registry, with their labels.
func gathered(t *testing.T, from prometheus.Gatherer) string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(families)
}

// fails waits until obj is not Ready for a reason of its own.
func (w *world) fails(obj *kustomizev1.Kustomization) {
	w.Helper()
	until(w, obj, "it has failed", func() bool {
		c := ready(obj.Status.Conditions)
		return c.Status == metav1.ConditionFalse && c.Reason != meta.DependencyNotReadyReason && c.Reason != "ArtifactFailed"
	})
}

// refusedByGit fetches with a password that the server doesn't know.
func (w *world) refusedByGit() {
	w.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "git", Namespace: w.Namespace}, StringData: map[string]string{"username": "git", "password": plantedGit},
	})
	repo := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "private", Namespace: w.Namespace},
		Spec: sourcev1.GitRepositorySpec{
			URL: strings.Replace(w.repo.URL(), "/shop", "/absent", 1), Interval: metav1.Duration{Duration: 3600e9},
			SecretRef: &meta.LocalObjectReference{Name: "git"}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}
	w.create(repo)
	until(w, repo, "it has failed", func() bool { return ready(repo.Status.Conditions).Status == metav1.ConditionFalse })
}
