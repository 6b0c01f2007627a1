package supply_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/supply"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// catalogue is a file that names a version for each channel.
func catalogue(stable, fast string) string {
	return "apiVersion: slipway.dev/v1alpha1\nkind: Catalogue\nmodules:\n  runner: {stable: " + stable + ", fast: " + fast + "}\n"
}

// publish puts files into the registry as an artifact, in the tag latest.
func (w *world) publish(repository string, files fs.FS) {
	w.Helper()
	image, err := oci.Pack(oci.Contents{Files: files, Created: time.Unix(0, 0)})
	if err != nil {
		w.Fatal(err)
	}
	ref, err := name.NewTag(w.host+"/"+repository+":latest", name.Insecure)
	if err != nil {
		w.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: "ci", Password: "ci"})); err != nil {
		w.Fatal(err)
	}
}

// chosen is the version that a Module with that catalogue wants.
func (w *world) chosen(c *v1alpha1.Catalogue) (string, error) {
	w.Helper()
	m := w.module("packages/runner")
	m.Spec.Catalogue = c
	choice, err := w.shelf.Choose(w.Context(), m)
	return choice.Version, err
}

// wantVersion holds a Module with that catalogue to wanting a version.
func (w *world) wantVersion(c *v1alpha1.Catalogue, want, reason string) {
	w.Helper()
	if got, err := w.chosen(c); err != nil || got != want {
		w.Errorf("%s: %q is wanted, want %s: %v", reason, got, want, err)
	}
}

// wantLasting holds a Module with that catalogue to a problem that asking again doesn't solve.
func (w *world) wantLasting(c *v1alpha1.Catalogue, text, reason string) {
	w.Helper()
	var unavailable *plan.Unavailable
	if got, err := w.chosen(c); err == nil || errors.As(err, &unavailable) || !strings.Contains(err.Error(), text) {
		w.Errorf("%s: %q, %v; want a lasting problem with %q", reason, got, err, text)
	}
}

func (w *world) wantAway(c *v1alpha1.Catalogue, reason string) {
	w.Helper()
	var unavailable *plan.Unavailable
	if got, err := w.chosen(c); !errors.As(err, &unavailable) {
		w.Errorf("%s: %q, %v; want to be asked again", reason, got, err)
	}
}

func (w *world) packages() {
	w.Helper()
	for _, version := range []string{"1.4.2", "1.5.0", "1.6.0"} {
		w.push("packages/runner", version, "2020-01-01T00:00:00Z")
	}
}

// TestCatalogueInARegistry: an artifact as people push it, from a registry that asks for a login.
func TestCatalogueInARegistry(t *testing.T) {
	w := newWorld(t)
	w.packages()
	w.make(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Annotations: map[string]string{supply.ModulesAnnotation: "runner"}},
		StringData: map[string]string{"username": "ci", "password": "ci"},
	})
	from := func(repository, channel string, login bool) *v1alpha1.Catalogue {
		c := &v1alpha1.Catalogue{Channel: channel, OCI: &v1alpha1.OCISource{URL: "oci://" + w.host + "/" + repository}}
		if login {
			c.OCI.SecretRef = &v1alpha1.SecretReference{Name: "mine"}
		}
		return c
	}
	w.publish("platform/catalogue", fstest.MapFS{"catalogue.yaml": {Data: []byte(catalogue("1.4.2", "1.5.0"))}, "README.md": {Data: []byte("ours")}})
	w.wantVersion(from("platform/catalogue", "stable", false), "1.4.2", "the channel's version")
	w.wantVersion(from("platform/catalogue", "fast", false), "1.5.0", "another channel's")
	w.wantLasting(from("platform/catalogue", "slow", false), "slow", "a channel that isn't there")

	w.publish("platform/catalogue", fstest.MapFS{"catalogue.yaml": {Data: []byte(catalogue("1.5.0", "1.6.0"))}})
	w.wantVersion(from("platform/catalogue", "fast", false), "1.6.0", "what is published anew counts at once")

	w.publish("private/catalogue", fstest.MapFS{"catalogue.yaml": {Data: []byte(catalogue("1.4.2", "1.5.0"))}})
	w.wantVersion(from("private/catalogue", "stable", true), "1.4.2", "with a login")
	w.publish("platform/none", fstest.MapFS{"README.md": {Data: []byte("ours")}})
	w.wantLasting(from("platform/none", "stable", false), "has no file catalogue.yaml", "an artifact without the file")
	large := catalogue("1.4.2", "1.5.0") + "# " + strings.Repeat("x", 1<<20)
	w.publish("platform/large", fstest.MapFS{"catalogue.yaml": {Data: []byte(large)}})
	w.wantLasting(from("platform/large", "stable", false), "split it", "a catalogue that is too large")
	noise := make([]byte, 5<<20)
	_, _ = rand.Read(noise)
	w.publish("platform/film", fstest.MapFS{"catalogue.yaml": {Data: []byte(catalogue("1.4.2", "1.5.0"))}, "film": {Data: noise}})
	w.wantLasting(from("platform/film", "stable", false), "MaxFileBytes", "a large file beside it")
	w.publish("platform/films", fstest.MapFS{"catalogue.yaml": {Data: []byte(catalogue("1.4.2", "1.5.0"))}, "a": {Data: noise[:3<<20]}, "b": {Data: noise[2<<20:]}, "c": {Data: noise[1<<20 : 4<<20]}})
	w.wantLasting(from("platform/films", "stable", false), "MaxPackBytes", "more than one fetches for a file")
	w.wantAway(&v1alpha1.Catalogue{Channel: "stable", OCI: &v1alpha1.OCISource{URL: "oci://127.0.0.1:1/catalogue"}}, "a registry that doesn't answer")
}

// TestCatalogueInGit: a folder of a repository with much else in it, on a server that asks for a login.
func TestCatalogueInGit(t *testing.T) {
	w := newWorld(t)
	w.packages()
	_, repo := gittest.Start(t, "platform", gitserver.Options{Username: "ci", Password: "hunter2"})
	commit := func(files map[string]string) {
		t.Helper()
		if _, err := repo.Commit(t.Context(), files, "catalogue"); err != nil {
			t.Fatal(err)
		}
	}
	secret := func(name, password string) {
		w.make(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{supply.ModulesAnnotation: "runner"}},
			StringData: map[string]string{"username": "ci", "password": password},
		})
	}
	secret("mine", "hunter2")
	secret("old", "hunter1")
	from := func(path, channel, login string) *v1alpha1.Catalogue {
		return &v1alpha1.Catalogue{Channel: channel, Git: &v1alpha1.GitSource{URL: repo.URL(), Path: path, SecretRef: &v1alpha1.SecretReference{Name: login}}}
	}
	commit(map[string]string{
		"catalogue.yaml":               catalogue("1.4.2", "1.6.0"),
		"fleet/eu west/catalogue.yaml": catalogue("1.5.0", "1.6.0"),
		"fleet/[a]*/catalogue.yaml":    catalogue("1.5.0", "1.4.2"),
		"fleet/none/README.md":         "ours",
		"films/cat.raw":                strings.Repeat("meow", 3<<20), // more than a catalogue may have
	})
	w.wantVersion(from("", "stable", "mine"), "1.4.2", "at the root, beside what is far larger")
	w.wantVersion(from("fleet/eu west", "stable", "mine"), "1.5.0", "in a folder")
	w.wantVersion(from("./fleet/eu west/", "fast", "mine"), "1.6.0", "in a folder that is written otherwise")
	w.wantVersion(from("fleet/[a]*", "fast", "mine"), "1.4.2", "in a folder whose name looks like a pattern")
	w.wantLasting(from("fleet/none", "stable", "mine"), "has no file fleet/none/catalogue.yaml", "a folder without the file")
	w.wantLasting(from("../../etc", "stable", "mine"), "has no file etc/catalogue.yaml", "a folder beyond the repository")

	commit(map[string]string{"catalogue.yaml": catalogue("1.6.0", "1.6.0")})
	w.wantVersion(from("", "stable", "mine"), "1.6.0", "what is committed counts at once")
	commit(map[string]string{"catalogue.yaml": catalogue("1.4.2", "1.6.0") + "# " + strings.Repeat("x", 1<<20)})
	w.wantLasting(from("", "stable", "mine"), "split it", "a catalogue that is too large")
	if got, err := w.chosen(from("", "stable", "old")); err == nil || strings.Contains(err.Error(), "hunter1") {
		t.Errorf("with a wrong password: %q, %v", got, err)
	}
	w.wantAway(&v1alpha1.Catalogue{Channel: "stable", Git: &v1alpha1.GitSource{URL: "http://127.0.0.1:1/platform.git"}}, "a server that doesn't answer")
}
