package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

const whyDeployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: example.com/web:1.0
        env:
        - name: COLOUR
          value: ${colour}
        - name: PIN
          value: ${pin}
        resources:
          limits: {cpu: 1000m}
`

const whyKustomization = `resources:
- web.yaml
- key.yaml
images:
- name: example.com/web
  newTag: "2.4"
`

// delivering makes a repository, a source and a Kustomization, and applies what they deliver as the agent does.
func (w *world) delivering(changes ...gitserver.Change) (ks *kustomizev1.Kustomization, dir string) {
	w.t.Helper()
	_, repo := gittest.Start(w.t, "shop", gitserver.Options{})
	files := map[string]string{}
	for _, change := range changes {
		if _, err := repo.Apply(w.t.Context(), change); err != nil {
			w.t.Fatal(err)
		}
		if change.Branch == "" {
			for name, content := range change.Files {
				files[name] = content
			}
		}
	}
	head, err := repo.Head(w.t.Context(), gitserver.DefaultBranch)
	if err != nil {
		w.t.Fatal(err)
	}
	archive := pack(w.t, files)
	artifacts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(archive) // a client that went away fails the test by itself
	}))
	w.t.Cleanup(artifacts.Close)
	sum := sha256.Sum256(archive)
	from := source("shop")
	from.Spec.URL = "file://" + repo.Dir()
	from.Status.Artifact.URL = artifacts.URL + "/shop.tar.gz"
	from.Status.Artifact.Digest = "sha256:" + hex.EncodeToString(sum[:])
	from.Status.Artifact.Revision = "main@sha1:" + head
	ks = kustomization("shop", "shop")
	ks.Spec.TargetNamespace = w.namespace
	ks.Spec.PostBuild = &kustomizev1.PostBuild{
		Substitute:     map[string]string{"colour": "blue"},
		SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "values"}},
	}
	ks.Status.LastAppliedRevision = from.Status.Artifact.Revision
	w.has(from, ks, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values"}, StringData: map[string]string{"pin": "hunter2"}})
	w.apply(ks, files)
	return ks, repo.Dir()
}

// apply applies what a Kustomization delivers of these files, as the agent does.
func (w *world) apply(ks *kustomizev1.Kustomization, files map[string]string) {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, content := range files {
		writeFile(w.t, filepath.Join(dir, name), content)
	}
	built, err := build.New().Build(w.t.Context(), build.Input{
		Tree: build.TreeOf(os.DirFS(dir)), Spec: ks.Spec, Vars: map[string]string{"colour": "blue", "pin": "hunter2"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	clients, err := kube.NewClients(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	owner := apply.Owner{Name: ks.Name, Namespace: ks.Namespace}
	if _, err := apply.New(clients, nil, apply.Settings{}).Apply(w.t.Context(), built.Objects, apply.Options{Owner: owner}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) scaled(replicas int32) {
	w.t.Helper()
	var web appsv1.Deployment
	if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "web"}, &web); err != nil {
		w.t.Fatal(err)
	}
	web.Spec.Replicas = &replicas
	web.Annotations = map[string]string{"touched": "by-hand"}
	if err := w.Update(w.t.Context(), &web, client.FieldOwner("kubectl-edit")); err != nil {
		w.t.Fatal(err)
	}
}

func whyChanges() []gitserver.Change {
	return []gitserver.Change{
		{Message: "a shop", Files: map[string]string{
			"deploy/web.yaml": strings.Replace(whyDeployment, "replicas: 3", "replicas: 1", 1), "deploy/kustomization.yaml": whyKustomization,
			"deploy/key.yaml": secretManifest,
		}},
		{Message: "more of it for the sale\n\nhalf the town comes", Files: map[string]string{"deploy/web.yaml": whyDeployment}},
	}
}

func TestWhy(t *testing.T) {
	w := newWorld(t)
	w.delivering(whyChanges()...)
	w.scaled(5)
	ns := w.namespace
	for name, tc := range map[string]struct {
		reason string
		args   []string
		says   []string
	}{
		"Manifest": {
			"the line's last commit, and that the cluster has another value",
			[]string{"deployment/web", "spec.replicas"},
			[]string{"spec.replicas = 3", "deploy/web.yaml:6", "more of it for the sale", "Slipway Lab", "Kustomization/" + ns + "/shop", "kubectl-edit", "5; Git says 3"},
		},
		"Image": {
			"a transformer's line",
			[]string{"deploy", "web", "spec.template.spec.containers[web].image"},
			[]string{"example.com/web:2.4", "deploy/kustomization.yaml:6", "images[0].newTag", "a shop", "as in Git"},
		},
		"Variable": {
			"of the Kustomization",
			[]string{"deployment/web", "spec.template.spec.containers[0].env[COLOUR].value"},
			[]string{"= blue", "Kustomization/" + ns + "/shop spec.postBuild.substitute.colour", "slipway why kustomization/shop", "deploy/web.yaml:18"},
		},
		"SecretVariable": {
			"the value is hidden, its place isn't",
			[]string{"deployment/web", "spec.template.spec.containers[0].env[PIN].value"},
			[]string{"Secret/" + ns + "/values data.pin", "*****"},
		},
		"Spec":      {"of the Kustomization", []string{"deployment/web", "metadata.namespace"}, []string{"Kustomization/" + ns + "/shop spec.targetNamespace"}},
		"Quantity":  {"1000m is 1", []string{"deployment/web", "spec.template.spec.containers[0].resources.limits.cpu"}, []string{"1000m", "as in Git"}},
		"Defaulted": {"nobody has set it", []string{"deployment/web", "spec.progressDeadlineSeconds"}, []string{"the API server's default", "not there"}},
		"ByHand":    {"somebody has", []string{"deployment/web", "metadata.annotations.touched"}, []string{"kubectl-edit, in the cluster"}},
		"OwnLabel":  {"the agent's", []string{"deployment/web", "metadata.labels[kustomize.toolkit.fluxcd.io/name]"}, []string{"the agent"}},
		"Secret":    {"no value is seen", []string{"secret/key", "stringData.token"}, []string{"= ***", "deploy/key.yaml:4", "as in Git"}},
		"Table": {
			"all fields",
			[]string{"deployment/web"},
			[]string{"FIELD", "spec.replicas", "5 ≠ 3", "deploy/web.yaml:6", "1 field differs", "metadata.annotations.touched", "not in Git"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.slipway(append([]string{"why"}, tc.args...)...)
			got.want(t, ExitDone, tc.says...)
			for _, secret := range []string{"hunter2", "swordfish", "c3dvcmRmaXNo"} {
				if strings.Contains(got.out+got.err, secret) {
					t.Errorf("%q is shown:\n%s", secret, got.out)
				}
			}
		})
	}
	var report struct {
		Fields []struct {
			Field   string
			Differs bool
			Live    any
			Places  []struct {
				File   string
				Line   int
				Commit struct{ Subject string }
			}
		}
	}
	if err := json.Unmarshal([]byte(w.slipway("why", "deployment/web", "spec.replicas", "-o", "json").out), &report); err != nil {
		t.Fatal(err)
	}
	if f := report.Fields; len(f) != 1 || !f[0].Differs || f[0].Live != float64(5) || f[0].Places[0].Line != 6 || f[0].Places[0].Commit.Subject != "more of it for the sale" {
		t.Errorf("another answer in JSON: %+v", report)
	}
	w.slipway("why", "deployment/web", "spec.nosuch").want(t, ExitFailed, "no field spec.nosuch", "slipway why deployment/web")
	w.slipway("why", "web").want(t, ExitUsage, "KIND/NAME [FIELD]")
	w.slipway("why", "deployment/web", "spec[").want(t, ExitUsage, "without ]")
}

// TestWhyShowsNothingOfASecret has kubectl and others keep the data of Secrets in annotations too.
func TestWhyShowsNothingOfASecret(t *testing.T) {
	w := newWorld(t)
	w.delivering(whyChanges()...)
	var key corev1.Secret
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "key"}, &key); err != nil {
		t.Fatal(err)
	}
	key.Annotations = map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": `{"apiVersion":"v1","data":{"token":"c3dvcmRmaXNo"},"kind":"Secret"}`,
		"backup.example.com/copy":                          "swordfish",
	}
	if err := w.Update(t.Context(), &key, client.FieldOwner("kubectl-client-side-apply")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"secret/key"},
		{"secret/key", "-o", "json"},
		{"secret/key", "metadata.annotations[backup.example.com/copy]"},
		{"secret/key", "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]"},
		{"secret/key", "data.token"},
	} {
		got := w.slipway(append([]string{"why"}, args...)...)
		for _, secret := range []string{"swordfish", "c3dvcmRmaXNo"} {
			if strings.Contains(got.out+got.err, secret) {
				t.Errorf("%v: %q is shown:\n%s%s", args, secret, got.out, got.err)
			}
		}
	}
	w.slipway("why", "secret/key").want(t, ExitDone, "metadata.annotations[backup.example.com/copy]", "metadata.labels", w.namespace)
}

func TestWhyWithoutHistory(t *testing.T) {
	w := newWorld(t)
	ks, _ := w.delivering(whyChanges()...)
	var repo sourcev1.GitRepository
	if err := w.Get(context.Background(), client.ObjectKey{Namespace: ks.Namespace, Name: "shop"}, &repo); err != nil {
		t.Fatal(err)
	}
	repo.Spec.URL = "https://user:hunter2@127.0.0.1:1/nosuch"
	if err := w.Update(t.Context(), &repo); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	got := w.slipway("why", "deployment/web", "spec.replicas")
	got.want(t, ExitDone, "deploy/web.yaml:6", "who wrote a line isn't known", "--repo DIR", repo.Status.Artifact.Revision)
	if strings.Contains(got.out+got.err, "hunter2") {
		t.Errorf("a password is shown:\n%s%s", got.out, got.err)
	}
	w.slipway("why", "deployment/web", "spec.replicas", "--repo", t.TempDir()).want(t, ExitDone, "open the Git repository")
}

// An agent that runs as a process leaves nothing in the cluster but addresses.
func TestCheckFindsAnAgentThatIsAProcess(t *testing.T) {
	w := newWorld(t)
	// Sources of other tests may name a port that something else has got by now.
	for _, k := range sourceKinds() {
		others, err := k.list(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range others {
			if err := w.Status().Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(`{"status":{"artifact":null}}`))); err != nil {
				t.Fatal(err)
			}
		}
	}
	from := source("shop")
	w.has(from)
	w.slipway("check").want(t, ExitFailed, "none that ran as a process answers at 127.0.0.1:1")
	agent := httptest.NewServer(http.NotFoundHandler())
	defer agent.Close()
	from.Status.Artifact.URL = agent.URL + "/shop.tar.gz"
	if err := w.Status().Update(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	w.slipway("check").want(t, ExitDone, "runs as a process that has its artifacts at "+strings.TrimPrefix(agent.URL, "http://"))
}
