package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// packageFolder is a package whose one pod runs an image of a registry.
func packageFolder(t *testing.T, image string) string {
	t.Helper()
	return folder(t, map[string]string{
		"package.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: runner\nversion: 1.4.2+b1\ndescription: Runs.\nrollback: {to: '>=1.2'}\npublished: \"2026-11-01T10:00:00Z\"\n" +
			"requires: [{name: cert-manager, version: '>=1.14'}]\npermissions: {clusterRules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]}\n",
		"manifests/main.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: '" + image + "'}]}\n---\n" +
			"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n",
		"Makefile": "all:\n",
	})
}

func TestPackageInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Runner")
	slipway(t, "package", "init", dir).want(t, ExitDone, "package.yaml", "slipway package lint")
	slipway(t, "package", "init", dir).want(t, ExitFailed, "already")
	slipway(t, "package", "lint", dir).want(t, ExitDone, "published isn't set")
	got := slipway(t, "package", "inspect", dir, "-o", "json")
	got.want(t, ExitDone, `"name": "runner"`, `"ConfigMap": 1`)
	slipway(t, "package", "init", filepath.Join(t.TempDir(), "_"), "--name", "A B").want(t, ExitUsage, "name of a package")

	chart := folder(t, map[string]string{"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "chart/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"})
	slipway(t, "package", "init", chart, "--name", "web").want(t, ExitDone)
	if _, err := os.Stat(filepath.Join(chart, "manifests")); err == nil {
		t.Error("a folder with a chart gets no other manifests")
	}
}

func TestPackageLint(t *testing.T) {
	good := packageFolder(t, "registry.example.com/a:1")
	slipway(t, "package", "lint", good).want(t, ExitDone, "hint", "Makefile")
	bad := folder(t, map[string]string{
		"package.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: A\nversion: one\n", "manifests/a.yaml": "a: b",
	})
	slipway(t, "package", "lint", bad).want(t, ExitFailed, "wrong", "package.yaml: name", "package.yaml: version", "2 things are wrong")
	wide := packageFolder(t, "registry.example.com/a")
	if err := os.WriteFile(filepath.Join(wide, "manifests", "wide.yaml"), []byte("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: wide}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	interpreter := "apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: a}\nspec:\n  target: {group: a.example.com, kind: A}\n  health: [{state: Healthy}]\n" +
		"  tests: [{name: broken, object: {apiVersion: a.example.com/v1, kind: A, metadata: {name: a}}, want: {health: Degraded}}]\n"
	if err := os.MkdirAll(filepath.Join(wide, "interpreters"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(wide, "interpreters", "a.yaml"), []byte(interpreter), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, "package", "lint", wide).want(t, ExitFailed, "ClusterRole/wide", "secrets", "the tag latest moves", "Interpreter/a", "broken")
}

func TestPackageBuildIsReproducible(t *testing.T) {
	from, other := packageFolder(t, "registry.example.com/a:1"), packageFolder(t, "registry.example.com/a:1")
	if err := os.WriteFile(filepath.Join(other, "notes.txt"), []byte("not part of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.tar"), filepath.Join(dir, "two.tar")
	slipway(t, "package", "build", from, "--output", one).want(t, ExitDone, "runner:1.4.2_b1@sha256:")
	slipway(t, "package", "build", other, "--output", two).want(t, ExitDone)
	first, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(two)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("the same package must make the same file, wherever its folder is and whatever else is in it")
	}
	if err := os.WriteFile(one, first[:len(first)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, "package", "inspect", one).want(t, ExitFailed, "no bundle")
}

func TestPackagePushAndInspect(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	host := registryHost(t, "hunter2")
	login := []string{"--insecure", "--creds", "robot:hunter2"}
	dir, to := packageFolder(t, "registry.example.com/a:1"), "oci://"+host+"/packages/runner"
	pushed := slipway(t, append([]string{"package", "push", dir, to, "--tag", "latest"}, login...)...)
	pushed.want(t, ExitDone, to+":1.4.2_b1@sha256:")
	file := filepath.Join(t.TempDir(), "runner.tar")
	slipway(t, "package", "build", dir, "--output", file).want(t, ExitDone)
	if again := slipway(t, append([]string{"package", "push", file, to}, login...)...); again.out != pushed.out {
		t.Errorf("a file has the same digest as its folder:\n%s%s", pushed.out, again.out)
	}
	slipway(t, append([]string{"package", "inspect", to + ":latest"}, login...)...).
		want(t, ExitDone, "runner 1.4.2+b1", "cert-manager >=1.14", "to >=1.2", "1 ClusterRole, 1 Pod", "registry.example.com/a:1", "2026-11-01", "pods")
	slipway(t, "package", "inspect", to+":latest", "--insecure").want(t, ExitFailed, "docker login")
	key := filepath.Join(t.TempDir(), "cosign.pub")
	const public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnLNw3RYx9xQjXbUEw8vonX3U4+tB\nkPnJq+zt386SCoG0ewIH5MB8+GjIDGArUULSDfjfM31Eae/71kavAUI0OA==\n-----END PUBLIC KEY-----\n"
	if err := os.WriteFile(key, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, append([]string{"package", "inspect", to + ":latest", "--key", key}, login...)...).want(t, ExitFailed, "signature")
	slipway(t, "package", "push", dir, to+"@sha256:0").want(t, ExitUsage, "without a digest")
}

func TestPackageBundle(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	far, near := registryHost(t, ""), registryHost(t, "")
	images, err := random.Index(100, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	image := far + "/team/app:1"
	tag, err := name.NewTag(image, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, images); err != nil {
		t.Fatal(err)
	}
	dir, from := packageFolder(t, image), "oci://"+far+"/packages/runner"
	pushed := slipway(t, "package", "push", dir, from, "--insecure")
	pushed.want(t, ExitDone)
	_, digest, _ := strings.Cut(strings.TrimSuffix(pushed.out, " pushed\n"), "@")
	// As 'cosign sign' leaves it: under a tag that is made of the digest.
	signature, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	signatureTag, err := name.NewTag(far+"/packages/runner:"+strings.Replace(digest, ":", "-", 1)+".sig", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(signatureTag, signature); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(t.TempDir(), "all.tar")
	slipway(t, "package", "bundle", from+":1.4.2_b1", dir, "--output", file, "--insecure").want(t, ExitDone, "packages: 1, images: 1, signatures: 1")
	slipway(t, "package", "push", "--bundle", file, "oci://"+near+"/mirror", "--insecure").
		want(t, ExitDone, "/mirror/packages/runner:1.4.2_b1@"+digest, "images:", "{from: "+far+", to: "+near+"/mirror/"+strings.ReplaceAll(far, ":", "-")+"}")
	for _, ref := range []string{
		"packages/runner:1.4.2_b1", "packages/runner:" + strings.Replace(digest, ":", "-", 1) + ".sig", strings.ReplaceAll(far, ":", "-") + "/team/app:1",
	} {
		there, err := name.NewTag(near+"/mirror/"+ref, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Get(there); err != nil {
			t.Errorf("%s isn't in the registry that the bundle was carried to: %v", ref, err)
		}
	}
	carried, err := name.NewTag(near+"/mirror/"+strings.ReplaceAll(far, ":", "-")+"/team/app:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Head(carried)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := images.Digest(); err != nil || desc.Digest != want {
		t.Errorf("the image has the digest %s, want %s (%v)", desc.Digest, want, err)
	}
	var report inspected
	got := slipway(t, "package", "inspect", "oci://"+near+"/mirror/packages/runner:1.4.2_b1", "--insecure", "-o", "json")
	got.want(t, ExitDone)
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || report.Digest != digest {
		t.Errorf("got %+v, %v", report, err)
	}
	slipway(t, "package", "bundle", dir).want(t, ExitUsage, "--output")
}
