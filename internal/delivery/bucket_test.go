package delivery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/s3server"
)

// bucketStored waits until the Bucket is ready with another revision than before.
func (w *world) bucketStored(obj *sourcev1.Bucket, before string) string {
	w.Helper()
	until(w, obj, "it is stored anew", func() bool {
		return ready(obj.Status.Conditions).Status == metav1.ConditionTrue && obj.Status.Artifact != nil && obj.Status.Artifact.Revision != before
	})
	return obj.Status.Artifact.Revision
}

func TestBucketIsDelivered(t *testing.T) {
	t.Parallel()
	s := s3server.Start("files")
	t.Cleanup(s.Close)
	s.Put("deploy/a.yaml", configMapFile("a", "1"))
	s.Put("notes.txt", "not a manifest")
	w := newWorld(t, func(o *agent.Options) { o.ReceiverAddress = freeAddress() })
	obj := &sourcev1.Bucket{
		ObjectMeta: metav1.ObjectMeta{Name: "files", Namespace: w.Namespace},
		Spec: sourcev1.BucketSpec{
			Endpoint: s.Address(), Insecure: true, BucketName: "files", Region: "us-east-1", Interval: metav1.Duration{Duration: time.Hour},
			SecretRef: &meta.LocalObjectReference{Name: "keys"}, Ignore: new("*.txt"),
		},
	}
	w.create(obj)
	until(w, obj, "it says that the Secret is missing", func() bool {
		c := ready(obj.Status.Conditions)
		return c.Reason == sourcev1.AuthenticationFailedReason && strings.Contains(c.Message, "keys' not found") &&
			apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.ReconcilingCondition)
	})
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: w.Namespace}, StringData: map[string]string{"accesskey": "key", "secretkey": "secret"}})
	token := w.request(obj)
	first := w.bucketStored(obj, "")
	until(w, obj, "the request is answered", func() bool { return obj.Status.LastHandledReconcileAt == token })
	artifact := obj.Status.Artifact
	if !strings.HasPrefix(artifact.Path, "bucket/"+w.Namespace+"/files/") || !strings.HasSuffix(artifact.URL, artifact.Path) || artifact.Size == nil ||
		!strings.HasPrefix(artifact.Digest, "sha256:") || artifact.LastUpdateTime.IsZero() || artifact.Metadata != nil {
		t.Errorf("artifact %+v", artifact)
	}
	if obj.Status.URL != "" || obj.Status.ObservedGeneration != obj.Generation || obj.Status.ObservedIgnore == nil || *obj.Status.ObservedIgnore != "*.txt" ||
		!apimeta.IsStatusConditionTrue(obj.Status.Conditions, sourcev1.ArtifactInStorageCondition) {
		t.Errorf("status %+v", obj.Status)
	}
	ks := w.kustomization("files", func(k *kustomizev1.Kustomization) {
		k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.BucketKind, Name: "files"}
	})
	w.applied(ks, first)

	s.Put("deploy/a.yaml", configMapFile("a", "2"))
	s.Put("more.txt", "not a manifest either")
	s.Asked()
	w.hook(sourcev1.BucketKind, "files")(w.options.ReceiverAddress)
	w.applied(ks, w.bucketStored(obj, first))
	w.value("a", "2")
	if asked := s.Asked(); !slices.Contains(asked, "GET deploy/a.yaml") || slices.Contains(asked, "GET notes.txt") || slices.Contains(asked, "GET more.txt") {
		t.Errorf("asked for %v", asked)
	}

	update(w, obj, func(b *sourcev1.Bucket) { b.Spec.Suspend = true })
	s.Put("deploy/a.yaml", configMapFile("a", "3"))
	s.Asked()
	w.request(obj)
	w.request(ks)
	w.value("a", "2")
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("suspended, but asked for %v", asked)
	}
}

func TestUnsupportedBucketIsStalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	obj := &sourcev1.Bucket{
		ObjectMeta: metav1.ObjectMeta{Name: "files", Namespace: w.Namespace},
		Spec:       sourcev1.BucketSpec{Provider: "gcp", Endpoint: "storage.googleapis.com", BucketName: "files", Interval: metav1.Duration{Duration: time.Hour}},
	}
	w.create(obj)
	until(w, obj, "it is refused", func() bool {
		c := ready(obj.Status.Conditions)
		return c.Reason == "UnsupportedField" && strings.Contains(c.Message, "spec.provider: gcp") &&
			apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.StalledCondition)
	})
}
