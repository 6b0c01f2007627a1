package delivery_test

import (
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/s3server"
)

// TestArtifactOfEachKind holds what stock consumers rely on, and that equal files are one artifact wherever they come from.
func TestArtifactOfEachKind(t *testing.T) {
	t.Parallel()
	address := freeAddress()
	w := newWorld(t, func(o *agent.Options) { o.ArtifactAddress, o.Advertise = address, "http://"+address })
	want := map[string]string{"deploy/a.yaml": configMapFile("a", "1")}

	w.commit(want)
	git := w.source()
	registry := w.registry("")
	registry.push("latest", want)
	image := registry.source()
	s3 := s3server.Start("files")
	t.Cleanup(s3.Close)
	for name, body := range want {
		s3.Put(name, body)
	}
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: w.Namespace}, StringData: map[string]string{"accesskey": "key", "secretkey": "secret"}})
	bucket := &sourcev1.Bucket{
		ObjectMeta: metav1.ObjectMeta{Name: "files", Namespace: w.Namespace},
		Spec: sourcev1.BucketSpec{
			Endpoint: s3.Address(), Insecure: true, BucketName: "files", Region: "us-east-1", Interval: metav1.Duration{Duration: time.Hour},
			SecretRef: &meta.LocalObjectReference{Name: "keys"},
		},
	}
	w.create(bucket)

	until(w, git, "it is stored", func() bool { return git.Status.Artifact != nil })
	until(w, image, "it is stored", func() bool { return image.Status.Artifact != nil })
	until(w, bucket, "it is stored", func() bool { return bucket.Status.Artifact != nil })
	for kind, artifact := range map[string]*meta.Artifact{
		sourcev1.GitRepositoryKind: git.Status.Artifact, sourcev1.OCIRepositoryKind: image.Status.Artifact, sourcev1.BucketKind: bucket.Status.Artifact,
	} {
		files := downloaded(t, kind, artifact)
		if len(files) != 1 || files["deploy/a.yaml"] != want["deploy/a.yaml"] {
			t.Errorf("%s: the archive has %v", kind, files)
		}
		if artifact.Digest != git.Status.Artifact.Digest {
			t.Errorf("%s: digest %s, from Git it is %s", kind, artifact.Digest, git.Status.Artifact.Digest)
		}
	}
}
