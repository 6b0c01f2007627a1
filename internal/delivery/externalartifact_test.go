package delivery_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maker stands in for a controller that makes artifacts: it has archives at addresses.
type maker struct {
	*httptest.Server

	mu       sync.Mutex
	archives map[string][]byte // by path
	asked    int
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	m := &maker{archives: map[string][]byte{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.asked++
		data, ok := m.archives[r.URL.Path]
		m.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *maker) downloads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// put has an archive of files at a path, and says what a status says of it.
func (m *maker) put(t *testing.T, path, revision string, files map[string]string) *meta.Artifact {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	archive := tar.NewWriter(z)
	for name, body := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.archives[path] = out.Bytes()
	return &meta.Artifact{
		URL: m.URL + path, Path: strings.TrimPrefix(path, "/"), Revision: revision,
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(out.Bytes())), LastUpdateTime: metav1.Now(), Size: new(int64(out.Len())),
		Metadata: map[string]string{"org.opencontainers.image.revision": "main@sha1:abc"},
	}
}

// announce writes the status of the ExternalArtifact, which it creates where it isn't there.
func (w *world) announce(artifact *meta.Artifact) *sourcev1.ExternalArtifact {
	w.Helper()
	obj := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Name: "made", Namespace: w.Namespace}}
	if err := w.client.Create(w.Context(), obj.DeepCopy()); client.IgnoreAlreadyExists(err) != nil {
		w.Fatal(err)
	}
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.Fatal(err)
	}
	obj.Status.Artifact = artifact
	if err := w.client.Status().Update(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
	return obj
}

func fromExternal(k *kustomizev1.Kustomization) {
	k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.ExternalArtifactKind, Name: "made"}
}

func TestExternalArtifactIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newMaker(t)
	ks := w.kustomization("shop", fromExternal)
	w.refused(ks, meta.ArtifactFailedReason)

	first := m.put(t, "/one.tar.gz", "v1", map[string]string{"./a.yaml": configMapFile("a", "1")})
	made := w.announce(first)
	w.applied(ks, "v1")
	w.value("a", "1")
	if ks.Status.LastAppliedOriginRevision != "main@sha1:abc" {
		t.Errorf("the origin revision is %q", ks.Status.LastAppliedOriginRevision)
	}
	w.announce(m.put(t, "/two.tar.gz", "v2", map[string]string{"a.yaml": configMapFile("a", "2")}))
	w.applied(ks, "v2")
	w.value("a", "2")
	w.announce(first)
	w.applied(ks, "v1")

	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(made), made); err != nil {
		t.Fatal(err)
	}
	if len(made.Status.Conditions) > 0 || len(made.Finalizers) > 0 {
		t.Errorf("the object belongs to another controller, and has %+v, %v", made.Status, made.Finalizers)
	}
}

// TestExternalArtifactSurvives a restart of the agent without a question, and the loss of its disk with one.
func TestExternalArtifactSurvives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newMaker(t)
	w.announce(m.put(t, "/one.tar.gz", "v1", map[string]string{"a.yaml": configMapFile("a", "1")}))
	ks := w.kustomization("shop", fromExternal)
	w.applied(ks, "v1")
	repair := func() {
		t.Helper()
		a := w.configMap("a")
		until(w, a, "it is there", func() bool { return true })
		update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "by hand" })
		w.value("a", "1")
	}
	before := m.downloads()
	w.stop()
	w.startAgent()
	repair()
	if got := m.downloads() - before; got != 0 {
		t.Errorf("a restart costs %d downloads", got)
	}
	w.stop()
	w.options.DataDir = t.TempDir()
	w.startAgent()
	repair()
	if got := m.downloads() - before; got != 1 {
		t.Errorf("the loss of the disk costs %d downloads, want one", got)
	}
}

func TestExternalArtifactThatCantBeHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newMaker(t)
	good := m.put(t, "/one.tar.gz", "v1", map[string]string{"a.yaml": configMapFile("a", "1")})
	w.announce(good)
	ks := w.kustomization("shop", fromExternal)
	w.applied(ks, "v1")
	for name, tc := range map[string]struct {
		change       func(*meta.Artifact)
		says, reason string
	}{
		"another content": {func(a *meta.Artifact) { a.Digest = "sha256:" + strings.Repeat("0", 64) }, "expected digest", "ContentInvalid"},
		"gone":            {func(a *meta.Artifact) { a.URL, a.Digest = m.URL+"/gone.tar.gz", "sha256:"+strings.Repeat("1", 64) }, "404", "FetchFailed"},
		"no address":      {func(a *meta.Artifact) { a.URL, a.Digest = "file:///etc/passwd", "sha256:"+strings.Repeat("2", 64) }, "http://", "URLInvalid"},
		"password": {func(a *meta.Artifact) {
			a.URL, a.Digest = "http://u:hush-7a1c@127.0.0.1:1/x", "sha256:"+strings.Repeat("3", 64)
		}, "refused", "FetchFailed"},
	} {
		bad := good.DeepCopy()
		tc.change(bad)
		made := w.announce(bad)
		var message string
		until(w, ks, name+" is told", func() bool {
			message = ready(ks.Status.Conditions).Message
			return strings.Contains(message, tc.says) && strings.Contains(message, "made")
		})
		if strings.Contains(message, "hush-7a1c") {
			t.Errorf("%s: the message shows a password: %s", name, message)
		}
		w.event(made, tc.reason, tc.says)
	}
	w.value("a", "1")
	w.announce(good)
	w.applied(ks, "v1")
}

func TestExternalArtifactOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		w := newWorld(t)
		m := newMaker(t)
		w.stop()
		w.options.Kustomizations.NoCrossNamespaceRefs = refuse
		elsewhere := w.Namespace + "-elsewhere"
		w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: elsewhere}})
		w.options.Namespaces = append(w.options.Namespaces, elsewhere)
		w.startAgent()
		ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
			fromExternal(k)
			k.Spec.SourceRef.Namespace = elsewhere
		})
		made := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Name: "made", Namespace: elsewhere}}
		w.create(made)
		made.Status.Artifact = m.put(t, "/one.tar.gz", "v1", map[string]string{"a.yaml": configMapFile("a", "1")})
		if err := w.client.Status().Update(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		if !refuse {
			w.applied(ks, "v1")
		} else if message := w.refused(ks, "AccessDenied"); !strings.Contains(message, "ExternalArtifact/"+elsewhere) {
			t.Errorf("the message must name what is refused: %s", message)
		}
	}
}
