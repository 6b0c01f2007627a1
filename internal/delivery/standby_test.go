package delivery_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestArtifactsMoveToTheNewLeader has the replica that leads go away for good: within seconds the status leads consumers of the artifact to
// the replica that took over, also of a source that is suspended, and though nothing was committed since.
func TestArtifactsMoveToTheNewLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stop() // the namespace of the lease is known only now
	replica := func() (address string, stop func()) {
		address = freeAddress()
		w.options.LeaderElect, w.options.LeaseNamespace = true, w.Namespace
		w.options.ArtifactAddress, w.options.Advertise, w.options.DataDir = address, "http://"+address, t.TempDir()
		w.startAgent()
		return address, w.stop
	}
	first, stopFirst := replica()
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	resting := w.source(func(r *sourcev1.GitRepository) { r.Name = "resting" })
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	for _, r := range []*sourcev1.GitRepository{repo, resting} {
		until(w, r, "it is stored", func() bool {
			return r.Status.Artifact != nil && strings.HasPrefix(r.Status.Artifact.URL, "http://"+first)
		})
	}
	update(w, resting, func(r *sourcev1.GitRepository) { r.Spec.Suspend = true })

	second, _ := replica()
	w.poll("the standby serves, and has nothing", func() bool {
		resp, err := http.Get("http://" + second + "/" + repo.Status.Artifact.Path) //nolint:noctx // the test ends it
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusNotFound
	}, second)
	downloaded(t, sourcev1.GitRepositoryKind, repo.Status.Artifact) // from the one that leads

	stopFirst()
	for _, r := range []*sourcev1.GitRepository{repo, resting} {
		was := r.Status.Artifact.DeepCopy()
		until(w, r, "its artifact is at the new leader", func() bool { return strings.HasPrefix(r.Status.Artifact.URL, "http://"+second) })
		downloaded(t, sourcev1.GitRepositoryKind, r.Status.Artifact)
		if is := r.Status.Artifact; is.Digest != was.Digest || is.Revision != was.Revision || !is.LastUpdateTime.Equal(&was.LastUpdateTime) {
			t.Errorf("only its address is another: it was %v, and is %v", was, is)
		}
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(ks), ks); err != nil || ready(ks.Status.Conditions).Reason != meta.ReconciliationSucceededReason {
		t.Errorf("the Kustomization is %v, %v", ks.Status.Conditions, err)
	}
}
