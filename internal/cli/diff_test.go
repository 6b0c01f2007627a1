package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
)

const settingsManifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: "${colour}", pin: "${pin}"}
`

const secretManifest = `apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: swordfish-two}
`

// checkout writes a repository with the folder deploy.
func checkout(t *testing.T, manifests map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, ".git", "HEAD"), "ref: refs/heads/main\n")
	for name, content := range manifests {
		writeFile(t, filepath.Join(dir, "deploy", name), content)
	}
	return dir
}

func (w *world) shopWithVariables(inv *kustomizev1.ResourceInventory) {
	shop := kustomization("shop", "shop")
	shop.Spec.TargetNamespace = w.namespace
	shop.Spec.PostBuild = &kustomizev1.PostBuild{
		Substitute:     map[string]string{"colour": "blue"},
		SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "values"}},
	}
	shop.Status.Inventory = inv
	w.has(shop, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values"}, StringData: map[string]string{"pin": "hunter2"}})
}

func TestDiffOfAWorkingCopy(t *testing.T) {
	w := newWorld(t)
	w.shopWithVariables(inventory(w.namespace+"_settings__ConfigMap", w.namespace+"_old__ConfigMap", w.namespace+"_released__ConfigMap",
		w.namespace+"_kept__ConfigMap", w.namespace+"_gone__ConfigMap"))
	labels := map[string]string{observe.LabelName: "shop", observe.LabelNamespace: w.namespace}
	w.has(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"colour": "red", "pin": "hunter2"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: labels}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "released"}}, // somebody has taken the labels away
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Labels: labels, Annotations: map[string]string{observe.AnnotationPrune: "disabled"}}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}, StringData: map[string]string{"token": "swordfish-one"}},
	)
	dir := checkout(t, map[string]string{"settings.yaml": settingsManifest, "key.yaml": secretManifest, "new.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: new}
`})

	got := w.slipway("diff", "kustomization", "shop", "--path", dir)
	got.want(t, ExitDone,
		"ConfigMap/"+w.namespace+"/settings configured", "-  colour: red", "+  colour: blue",
		"ConfigMap/"+w.namespace+"/new created",
		"ConfigMap/"+w.namespace+"/old deleted",
		"Secret/"+w.namespace+"/key configured")
	for _, secret := range []string{"hunter2", "swordfish", "c3dvcmRmaXNo", "/kept", "/released"} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("%q is shown:\n%s", secret, got.out)
		}
	}
	w.slipway("diff", "ks", "shop", "--path", filepath.Join(dir, "deploy"), "--exit-code").want(t, ExitFailed, "settings configured")

	var settings corev1.ConfigMap
	if !w.exists(&settings, w.namespace, "settings") || settings.Data["colour"] != "red" || w.exists(&settings, w.namespace, "new") {
		t.Error("a diff has changed the cluster")
	}
	var found []difference
	if err := json.Unmarshal([]byte(w.slipway("diff", "ks", "shop", "--path", dir, "-o", "json").out), &found); err != nil {
		t.Fatal(err)
	}
	became := map[string]apply.Action{}
	for _, d := range found {
		became[strings.TrimPrefix(strings.ReplaceAll(d.Object, "/"+w.namespace+"/", "/"), "ConfigMap/")] = d.Action
		if (d.Action == apply.Skipped) != (d.Note != "") {
			t.Errorf("want a note on what is left alone, and only there: %+v", d)
		}
	}
	want := map[string]apply.Action{
		"settings": apply.Configured, "new": apply.Created, "Secret/key": apply.Configured,
		"old": apply.Deleted, "kept": apply.Skipped, "released": apply.Skipped, "gone": apply.Skipped,
	}
	if diff := cmp.Diff(want, became); diff != "" {
		t.Errorf("objects in JSON (-want +got):\n%s", diff)
	}
}

func TestDiffTellsWhatCannotBeApplied(t *testing.T) {
	w := newWorld(t)
	w.shopWithVariables(nil)
	dir := checkout(t, map[string]string{"broken.yaml": `apiVersion: v1
kind: Service
metadata: {name: broken}
spec: {ports: [{port: 99999}]}
`})
	w.slipway("diff", "ks", "shop", "--path", dir).want(t, ExitFailed, "Service/"+w.namespace+"/broken can't be applied", "99999")
	w.slipway("diff", "ks", "shop", "--path", t.TempDir()).want(t, ExitFailed, "./deploy", "root of the repository")
}

func TestDiffOfWhatTheSourceHas(t *testing.T) {
	w := newWorld(t)
	w.shopWithVariables(nil)
	archive := pack(t, map[string]string{"deploy/settings.yaml": settingsManifest})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(archive) // a client that went away fails the test by itself
	}))
	defer server.Close()
	repo := source("shop")
	repo.Status.Artifact.URL = server.URL + "/shop.tar.gz"
	w.has(repo)
	w.slipway("diff", "ks", "shop").want(t, ExitFailed, "digest", "--path DIR")

	sum := sha256.Sum256(archive)
	repo.Status.Artifact.Digest = "sha256:" + hex.EncodeToString(sum[:])
	if err := w.Status().Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	w.slipway("diff", "ks", "shop").want(t, ExitDone, "settings created", "+  colour: blue")
}

func TestArtifactStaysInItsFolder(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unpack(bytes.NewReader(pack(t, map[string]string{"../outside": "x"})), inside); err == nil {
		t.Error("an archive may write outside of its folder")
	}
	if _, err := os.Stat(filepath.Join(dir, "outside")); err == nil {
		t.Error("an archive has written outside of its folder")
	}
}

func pack(t *testing.T, contents map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	for name, content := range contents {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestPodIsReadFromTheAdvertisedName(t *testing.T) {
	for host, want := range map[string]string{
		"slipway-agent-0.slipway-agent-pods.slipway-system.svc.cluster.local.": "slipway-system/slipway-agent-0",
		"slipway-agent-0.slipway-agent-pods.slipway-system.svc.cluster.local":  "slipway-system/slipway-agent-0",
		"127.0.0.1":       "",
		"git.example.com": "",
	} {
		pod, namespace, ok := podOf(host)
		if got := strings.Trim(namespace+"/"+pod, "/"); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}
