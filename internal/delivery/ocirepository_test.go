package delivery_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// images is a registry that agents can pull from.
type images struct {
	*world
	host string
	// hang, while it is set, keeps answers back until their requests are given up; password, if it isn't empty, is robot's.
	hang     atomic.Bool
	password string
}

func (w *world) registry(password string) *images {
	w.Helper()
	r := &images{world: w, password: password}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if r.hang.Load() {
			<-req.Context().Done()
			return
		}
		if user, got, _ := req.BasicAuth(); password != "" && (user != "robot" || got != password) {
			rw.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(rw, req)
	}))
	w.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *images) url() string { return "oci://" + r.host + "/team/shop" }

// push pushes manifests as `slipway push artifact` does, and returns the digest.
func (r *images) push(tag string, files map[string]string) string {
	r.Helper()
	tree := fstest.MapFS{}
	for path, content := range files {
		tree[path] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	artifact, err := oci.Pack(oci.Contents{Files: tree, Source: "https://git.example.com/shop", Revision: "main@sha1:abc"})
	if err != nil {
		r.Fatal(err)
	}
	digest, err := oci.Push(r.Context(), oci.Location{URL: r.url(), Tag: tag}, nil, oci.Login("robot", r.password), true, artifact)
	if err != nil {
		r.Fatal(err)
	}
	return digest
}

// source creates an OCIRepository of the registry's artifact. It is looked at on request only.
func (r *images) source(change ...func(*sourcev1.OCIRepository)) *sourcev1.OCIRepository {
	r.Helper()
	obj := &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: r.Namespace},
		Spec:       sourcev1.OCIRepositorySpec{URL: r.url(), Interval: metav1.Duration{Duration: time.Hour}, Insecure: true},
	}
	for _, f := range change {
		f(obj)
	}
	r.create(obj)
	return obj
}

// look asks the agent to look now and waits until it has.
func (r *images) look(obj *sourcev1.OCIRepository) {
	r.Helper()
	token := r.request(obj)
	until(r.world, obj, "it was looked at", func() bool { return obj.Status.LastHandledReconcileAt == token })
}

func (r *images) pulled(obj *sourcev1.OCIRepository, revision string) {
	r.Helper()
	until(r.world, obj, "it has "+revision, func() bool {
		return obj.Status.Artifact != nil && obj.Status.Artifact.Revision == revision && ready(obj.Status.Conditions).Status == metav1.ConditionTrue &&
			obj.Status.ObservedGeneration == obj.Generation
	})
}

func (r *images) fails(obj *sourcev1.OCIRepository, reason string) string {
	r.Helper()
	until(r.world, obj, "it fails with "+reason, func() bool {
		c := ready(obj.Status.Conditions)
		return c.Status == metav1.ConditionFalse && c.Reason == reason && c.ObservedGeneration == obj.Generation
	})
	return ready(obj.Status.Conditions).Message
}

func (r *images) secret(name string, kind corev1.SecretType, data map[string][]byte) {
	r.Helper()
	r.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.Namespace}, Type: kind, Data: data})
}

func fromOCI(k *kustomizev1.Kustomization) { k.Spec.SourceRef.Kind = sourcev1.OCIRepositoryKind }

func TestOCIRepositoryDelivers(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	first := "latest@" + r.push("latest", map[string]string{"a.yaml": configMapFile("a", "1")})
	obj := r.source()
	ks := r.kustomization("shop", fromOCI)
	r.applied(ks, first)
	r.value("a", "1")
	if got := ks.Status.LastAppliedOriginRevision; got != "main@sha1:abc" {
		t.Errorf("the origin's revision is %q", got)
	}
	r.pulled(obj, first)
	artifact := obj.Status.Artifact
	if artifact.Metadata["org.opencontainers.image.source"] != "https://git.example.com/shop" || artifact.LastUpdateTime.IsZero() ||
		artifact.Path != source.ArtifactPath(sourcev1.OCIRepositoryKind, r.Namespace, "shop", artifact.Digest) || !strings.HasSuffix(artifact.URL, artifact.Path) || obj.Status.URL != "" {
		t.Errorf("status %+v", obj.Status)
	}
	second := "latest@" + r.push("latest", map[string]string{"a.yaml": configMapFile("a", "2")})
	r.look(obj)
	r.applied(ks, second)
	r.value("a", "2")
	r.event(obj, "NewArtifact", second)
}

func TestOCIRepositoryObserves(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	revision := "1.0.0@" + r.push("1.0.0", map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	rules := "b.yaml"
	obj := r.source(func(o *sourcev1.OCIRepository) {
		o.Spec.Reference, o.Spec.Ignore = &sourcev1.OCIRepositoryRef{SemVer: "1.x"}, &rules
		o.Spec.LayerSelector = &sourcev1.OCILayerSelector{MediaType: oci.ContentMediaType, Operation: sourcev1.OCILayerExtract}
	})
	r.look(obj)
	r.pulled(obj, revision)
	if got := obj.Status; got.ObservedIgnore == nil || *got.ObservedIgnore != rules || got.ObservedLayerSelector == nil ||
		got.ObservedLayerSelector.MediaType != oci.ContentMediaType || got.ObservedLayerSelector.Operation != sourcev1.OCILayerExtract {
		t.Errorf("status %+v", got)
	}
	extracted := obj.Status.Artifact.Digest
	update(r.world, obj, func(o *sourcev1.OCIRepository) { o.Spec.LayerSelector.Operation = sourcev1.OCILayerCopy })
	until(r.world, obj, "the layer is copied", func() bool {
		return obj.Status.ObservedLayerSelector != nil && obj.Status.ObservedLayerSelector.Operation == sourcev1.OCILayerCopy
	})
	if obj.Status.Artifact.Digest == extracted {
		t.Error("a copied layer has its own digest")
	}
	ks := r.kustomization("shop", fromOCI)
	r.applied(ks, revision)
	r.value("b", "1") // Rules mean nothing for what is copied.
}

func TestOCIRepositoryRefuses(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	cases := map[string]struct {
		change func(*sourcev1.OCIRepository)
		reason string
		text   string
	}{
		"Provider": {func(o *sourcev1.OCIRepository) { o.Spec.Provider = "aws" }, "UnsupportedField", "spec.provider"},
		"Anybody": {func(o *sourcev1.OCIRepository) {
			o.Spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: "cosign"}
		}, "UnsupportedField", "matchOIDCIdentity"},
		"NoRoot": {func(o *sourcev1.OCIRepository) {
			o.Spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: "cosign", MatchOIDCIdentity: []sourcev1.OIDCIdentityMatch{{Issuer: "a", Subject: "b"}}}
		}, "UnsupportedField", "trustedRootSecretRef"},
		"NoPolicy": {func(o *sourcev1.OCIRepository) {
			o.Spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: "notation"}
		}, "UnsupportedField", "trustpolicy.json"},
		"Range": {func(o *sourcev1.OCIRepository) { o.Spec.Reference = &sourcev1.OCIRepositoryRef{SemVer: "x.y.z!"} }, "ReferenceInvalid", "spec.ref.semver"},
		"URL":   {func(o *sourcev1.OCIRepository) { o.Spec.URL += ":tag" }, "URLInvalid", "spec.ref.tag"},
	}
	for name, tc := range cases {
		obj := r.source(tc.change, func(o *sourcev1.OCIRepository) { o.Name = strings.ToLower(name) })
		if message := r.fails(obj, tc.reason); !strings.Contains(message, tc.text) {
			t.Errorf("%s: %q doesn't say %q", name, message, tc.text)
		}
		if !apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.StalledCondition) {
			t.Errorf("%s: only a change of the spec helps, so it must be stalled: %v", name, obj.Status.Conditions)
		}
	}
}

func TestOCIRepositoryLogins(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("right-password")
	revision := "latest@" + r.push("latest", map[string]string{"a.yaml": configMapFile("a", "1")})
	obj := r.source(func(o *sourcev1.OCIRepository) { o.Spec.ServiceAccountName = "puller" })
	if message := r.fails(obj, sourcev1.AuthenticationFailedReason); !strings.Contains(message, "puller") {
		t.Errorf("%q must name the account", message)
	}
	r.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "puller", Namespace: r.Namespace}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "login"}}})
	r.look(obj)
	if message := r.fails(obj, sourcev1.AuthenticationFailedReason); !strings.Contains(message, "login") || !strings.Contains(message, "not found") {
		t.Errorf("%q must name the Secret", message)
	}
	r.secret("login", corev1.SecretTypeDockerConfigJson, map[string][]byte{
		corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"username":"robot","password":"right-password"}}}`, r.host),
	})
	r.look(obj)
	r.pulled(obj, revision)
	r.secret("wrong", corev1.SecretTypeDockerConfigJson, map[string][]byte{
		corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"username":"robot","password":"wrong-password"}}}`, r.host),
	})
	update(r.world, obj, func(o *sourcev1.OCIRepository) { o.Spec.SecretRef = &meta.LocalObjectReference{Name: "wrong"} })
	if message := r.fails(obj, sourcev1.AuthenticationFailedReason); strings.Contains(message, "wrong-password") {
		t.Errorf("the password is in %q", message)
	}
	if obj.Status.Artifact == nil {
		t.Error("the artifact must stay")
	}
}

func TestOCIRepositoryVerify(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	signer, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	digest := r.push("latest", map[string]string{"a.yaml": configMapFile("a", "1")})
	obj := r.source(func(o *sourcev1.OCIRepository) {
		o.Spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: "cosign", SecretRef: &meta.LocalObjectReference{Name: "keys"}}
	})
	if message := r.fails(obj, sourcev1.VerificationError); !strings.Contains(message, "keys") {
		t.Errorf("%q must name the Secret", message)
	}
	r.secret("keys", corev1.SecretTypeOpaque, map[string][]byte{"cosign.pub": signer.Public})
	r.look(obj)
	if message := r.fails(obj, sourcev1.VerificationError); !strings.Contains(message, "no signature") || obj.Status.Artifact != nil {
		t.Errorf("not signed, and yet: %q %+v", message, obj.Status.Artifact)
	}
	if err := signer.Sign(strings.TrimPrefix(r.url(), "oci://") + "@" + digest); err != nil {
		t.Fatal(err)
	}
	r.look(obj)
	r.pulled(obj, "latest@"+digest)
	if c := apimeta.FindStatusCondition(obj.Status.Conditions, sourcev1.SourceVerifiedCondition); c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "cosign.pub") {
		t.Errorf("SourceVerified is %+v", c)
	}
	ks := r.kustomization("shop", fromOCI)
	r.applied(ks, "latest@"+digest)

	r.push("latest", map[string]string{"a.yaml": configMapFile("a", "2")}) // by somebody without the key
	r.look(obj)
	r.fails(obj, sourcev1.VerificationError)
	if c := apimeta.FindStatusCondition(obj.Status.Conditions, sourcev1.SourceVerifiedCondition); c == nil || c.Status != metav1.ConditionFalse {
		t.Errorf("SourceVerified is %+v", c)
	}
	if obj.Status.Artifact == nil || obj.Status.Artifact.Revision != "latest@"+digest {
		t.Errorf("what was verified must stay: %+v", obj.Status.Artifact)
	}
	r.request(ks)
	r.applied(ks, "latest@"+digest)
	r.value("a", "1")

	update(r.world, obj, func(o *sourcev1.OCIRepository) { o.Spec.Verify = nil })
	until(r.world, obj, "nothing is verified any more", func() bool {
		return ready(obj.Status.Conditions).Status == metav1.ConditionTrue && obj.Status.ObservedGeneration == obj.Generation &&
			apimeta.FindStatusCondition(obj.Status.Conditions, sourcev1.SourceVerifiedCondition) == nil
	})
	r.value("a", "2")
}

func TestOCIRepositoryTimeout(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	r.hang.Store(true)
	obj := r.source(func(o *sourcev1.OCIRepository) { o.Spec.Timeout = &metav1.Duration{Duration: time.Second} })
	if message := r.fails(obj, sourcev1.OCIPullFailedReason); !strings.Contains(message, "spec.timeout") {
		t.Errorf("%q must say what to do", message)
	}
}

func TestOCIRepositorySuspended(t *testing.T) {
	t.Parallel()
	r := newWorld(t).registry("")
	revision := "latest@" + r.push("latest", map[string]string{"a.yaml": configMapFile("a", "1")})
	obj := r.source()
	r.pulled(obj, revision)
	update(r.world, obj, func(o *sourcev1.OCIRepository) { o.Spec.Suspend = true })
	r.push("latest", map[string]string{"a.yaml": configMapFile("a", "2")})
	r.stop()
	r.options.DataDir = t.TempDir() // The store is lost with the agent.
	r.startAgent()
	ks := r.kustomization("shop", fromOCI)
	r.applied(ks, revision)
	r.value("a", "1")
}
