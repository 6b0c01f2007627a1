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
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

func (w *world) stored(repo *sourcev1.GitRepository, revision string) {
	w.Helper()
	until(w, repo, "it has "+revision, func() bool {
		return repo.Status.Artifact != nil && repo.Status.Artifact.Revision == revision && ready(repo.Status.Conditions).Status == metav1.ConditionTrue
	})
}

func (w *world) notFetched(repo *sourcev1.GitRepository, reason string) string {
	w.Helper()
	until(w, repo, "it fails with "+reason, func() bool {
		c := ready(repo.Status.Conditions)
		return c.Status == metav1.ConditionFalse && c.Reason == reason
	})
	return ready(repo.Status.Conditions).Message
}

func TestSourceStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	w.stored(repo, revision)
	artifact := repo.Status.Artifact
	if !strings.HasPrefix(artifact.Digest, "sha256:") || artifact.Size == nil || *artifact.Size == 0 || !strings.HasSuffix(artifact.URL, artifact.Path) {
		t.Errorf("artifact %+v", artifact)
	}
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, sourcev1.ArtifactInStorageCondition) || repo.Status.ObservedGeneration != repo.Generation {
		t.Errorf("status %+v", repo.Status)
	}
	w.event(repo, "NewArtifact", revision)

	w.requests.take()
	w.fetch()
	if got, want := w.requests.take(), []string{"PATCH /apis/source.toolkit.fluxcd.io/v1/namespaces/" + w.Namespace + "/gitrepositories/shop/status"}; !slices.Equal(got, want) {
		t.Errorf("a fetch without news costs %v, want the answer to the request", got)
	}
}

func TestFailedFetchKeepsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)

	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Reference = &sourcev1.GitRepositoryRef{Branch: "gone"} })
	if message := w.notFetched(repo, sourcev1.GitOperationFailedReason); !strings.Contains(message, "gone") {
		t.Errorf("the message must name the branch: %q", message)
	}
	if repo.Status.Artifact == nil || repo.Status.Artifact.Revision != first {
		t.Errorf("the artifact must stay: %+v", repo.Status.Artifact)
	}
	w.request(ks)
	w.applied(ks, first)
	w.value("a", "1")

	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Reference = &sourcev1.GitRepositoryRef{Branch: "main"} })
	w.stored(repo, first)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, w.repo = gittest.Start(t, "private", gitserver.Options{Username: "robot", Password: "right-password"})
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	plain, err := url.Parse(w.repo.URL())
	if err != nil {
		t.Fatal(err)
	}
	plain.User = nil
	repo := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL, r.Spec.SecretRef = plain.String(), &meta.LocalObjectReference{Name: "git"}
	})
	if message := w.notFetched(repo, sourcev1.AuthenticationFailedReason); !strings.Contains(message, "git") || !strings.Contains(message, "not found") {
		t.Errorf("the message must name the Secret that is missing: %q", message)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "git", Namespace: w.Namespace},
		StringData: map[string]string{"username": "robot", "password": "wrong-password"},
	}
	w.create(secret)
	w.fetch()
	message := w.notFetched(repo, sourcev1.AuthenticationFailedReason)
	if strings.Contains(message, "wrong-password") || strings.Contains(message, "not found") {
		t.Errorf("the message must be about the credentials and not show them: %q", message)
	}
	update(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": "right-password"} })
	w.fetch()
	w.stored(repo, revision)
}

func TestUnsupportedSourceIsStalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source(func(r *sourcev1.GitRepository) { r.Spec.Provider = sourcev1.GitProviderAzure })
	if message := w.notFetched(repo, "UnsupportedField"); !strings.Contains(message, "spec.provider") {
		t.Errorf("the message must name the field: %q", message)
	}
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, meta.StalledCondition) {
		t.Error("only a person can go on from here: it must be Stalled")
	}
}

func TestImpossibleReferenceIsStalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source(func(r *sourcev1.GitRepository) { r.Spec.Reference = &sourcev1.GitRepositoryRef{SemVer: "not a range"} })
	w.notFetched(repo, "ReferenceInvalid")
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, meta.StalledCondition) {
		t.Error("trying again can't help: it must be Stalled")
	}
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Reference = &sourcev1.GitRepositoryRef{Branch: "main"} })
	w.stored(repo, revision)
	if apimeta.FindStatusCondition(repo.Status.Conditions, meta.StalledCondition) != nil {
		t.Error("Stalled stays after the spec is right")
	}
}

func TestLimitIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *agent.Options) { o.Sources.Limits.MaxFiles = 2 })
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1"), "c.yaml": configMapFile("c", "1")})
	if message := w.notFetched(w.source(), "LimitExceeded"); !strings.Contains(message, "MaxFiles=2") || !strings.Contains(message, "spec.ignore") {
		t.Errorf("the message must name the limit and what to do: %q", message)
	}
}

func TestSuspendedSourceStaysDeliverable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Suspend = true })
	w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.stop()

	w.options.DataDir = t.TempDir() // as a pod that has lost its emptyDir
	w.startAgent()
	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "by hand" })
	w.value("a", "1")
	w.applied(ks, first)
}

func TestDeletedSourceIsLetGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source(func(r *sourcev1.GitRepository) { r.Finalizers = []string{sourcev1.SourceFinalizer} })
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	if err := w.client.Delete(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	w.gone(repo)
	w.request(ks)
	if message := w.refused(ks, meta.ArtifactFailedReason); !strings.Contains(message, "not found") {
		t.Errorf("the message must say that the source is gone: %q", message)
	}
	w.value("a", "1")
}

// TestArtifactCanBeDownloaded checks that others can have what was fetched, by the URL in the status.
func TestArtifactCanBeDownloaded(t *testing.T) {
	t.Parallel()
	probe := httptest.NewServer(http.NotFoundHandler()) // finds a free port
	address := probe.Listener.Addr().String()
	probe.Close()
	w := newWorld(t, func(o *agent.Options) { o.ArtifactAddress, o.Advertise = address, "http://"+address })
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source(func(r *sourcev1.GitRepository) { r.Spec.Interval = metav1.Duration{Duration: time.Hour} })
	w.stored(repo, revision)
	files := downloaded(t, sourcev1.GitRepositoryKind, repo.Status.Artifact)
	if files["a.yaml"] != configMapFile("a", "1") || len(files) != 1 {
		t.Errorf("the archive has %v", files)
	}
}

// downloaded is what a stock consumer of an artifact does with it, whatever the kind of its source: it gets the URL, compares size and
// digest with the status, and unpacks. It returns the files.
func downloaded(t *testing.T, kind string, artifact *meta.Artifact) map[string]string {
	t.Helper()
	if !strings.HasPrefix(artifact.Path, strings.ToLower(kind)+"/") || !strings.HasSuffix(artifact.URL, "/"+artifact.Path) {
		t.Errorf("the artifact is at %s, %s", artifact.URL, artifact.Path)
	}
	resp, err := http.Get(artifact.URL) //nolint:noctx // the test ends it
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || int64(len(data)) != *artifact.Size {
		t.Fatalf("download: %s, %d bytes, %v; want %d", resp.Status, len(data), err, *artifact.Size)
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); got != artifact.Digest {
		t.Errorf("the archive has digest %s, the status says %s", got, artifact.Digest)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(body)
	}
}
