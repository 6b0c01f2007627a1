package delivery_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

func (w *world) secret(name string, data map[string]string) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}, StringData: data}
	w.create(s)
	return s
}

func conditionOf(repo *sourcev1.GitRepository, kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(repo.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// signer makes an SSH key and what signs with it.
func signer(t *testing.T) (public, name string, sign func(string) (string, error)) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key.PublicKey())), ssh.FingerprintSHA256(key.PublicKey()), func(payload string) (string, error) {
		sig, err := sshsig.Sign(strings.NewReader(payload), key, sshsig.HashSHA512, "git")
		if err != nil {
			return "", err
		}
		return string(sshsig.Armor(sig)), nil
	}
}

// signed signs the last commit and returns its revision.
func (w *world) signed(sign func(string) (string, error)) string {
	w.Helper()
	sha, err := w.repo.Sign(w.Context(), gitserver.DefaultBranch, sign)
	if err != nil {
		w.Fatal(err)
	}
	return "main@sha1:" + sha
}

func TestOnlySignedCommitsAreDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, name, sign := signer(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	first := w.signed(sign)
	repo := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.Verification = &sourcev1.GitRepositoryVerification{SecretRef: meta.LocalObjectReference{Name: "authors"}}
	})
	if message := w.notFetched(repo, sourcev1.VerificationError); !strings.Contains(message, "authors") {
		t.Errorf("the message must name the Secret that is missing: %q", message)
	}
	w.secret("authors", map[string]string{"ada.sshpub": ada})
	ks := w.kustomization("shop")
	w.fetch()
	w.stored(repo, first)
	if c := conditionOf(repo, sourcev1.SourceVerifiedCondition); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, name) {
		t.Errorf("SourceVerified must be True and name the key: %+v", c)
	}
	if mode := repo.Status.SourceVerificationMode; mode == nil || *mode != sourcev1.ModeGitHEAD {
		t.Errorf("sourceVerificationMode %v", mode)
	}
	w.applied(ks, first)

	w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.notFetched(repo, "InvalidCommitSignature")
	if c := conditionOf(repo, sourcev1.SourceVerifiedCondition); c.Status != metav1.ConditionFalse || c.Reason != "InvalidCommitSignature" {
		t.Errorf("SourceVerified must be False: %+v", c)
	}
	if conditionOf(repo, sourcev1.FetchFailedCondition).Type != "" {
		t.Error("it was fetched: FetchFailed is not what is wrong")
	}
	if repo.Status.Artifact == nil || repo.Status.Artifact.Revision != first {
		t.Errorf("the artifact must stay: %+v", repo.Status.Artifact)
	}
	w.request(ks)
	w.applied(ks, first)
	w.value("a", "1")

	second := w.signed(sign)
	w.fetch()
	w.stored(repo, second)
	w.applied(ks, second)

	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Verification.Mode = sourcev1.ModeGitTag })
	w.notFetched(repo, "InvalidVerificationMode")
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, meta.StalledCondition) {
		t.Error("a branch has no tag: it must be Stalled")
	}
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Verification = nil })
	until(w, repo, "nothing is said of signatures any more", func() bool {
		return ready(repo.Status.Conditions).Status == metav1.ConditionTrue && conditionOf(repo, sourcev1.SourceVerifiedCondition).Type == "" && repo.Status.SourceVerificationMode == nil
	})
}

func TestSubmodulesAndSparseCheckoutAreDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lib, err := w.git.Repo(t.Context(), "lib")
	if err != nil {
		t.Fatal(err)
	}
	libCommit, err := lib.Commit(t.Context(), map[string]string{"b.yaml": configMapFile("b", "lib")}, "lib")
	if err != nil {
		t.Fatal(err)
	}
	sha, err := w.repo.Apply(t.Context(), gitserver.Change{
		Message: "shop", Submodules: map[string]string{"vendor/lib": libCommit},
		Files: map[string]string{"a.yaml": configMapFile("a", "1"), ".gitmodules": "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	revision := "main@sha1:" + sha
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	plain := repo.DeepCopy()
	w.stored(plain, revision)

	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.RecurseSubmodules = true })
	until(w, repo, "the submodule is in the artifact", func() bool { return repo.Status.ObservedRecurseSubmodules })
	if repo.Status.Artifact.Revision != revision || repo.Status.Artifact.Digest == plain.Status.Artifact.Digest {
		t.Errorf("the revision is the same, the content isn't: %+v, before %+v", repo.Status.Artifact, plain.Status.Artifact)
	}
	w.value("b", "lib")

	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.SparseCheckout = []string{"vendor/lib"} })
	until(w, repo, "only the directory is in the artifact", func() bool {
		return slices.Equal(repo.Status.ObservedSparseCheckout, []string{"vendor/lib"})
	})
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.SparseCheckout = []string{"nowhere"} })
	if message := w.notFetched(repo, sourcev1.GitOperationFailedReason); !strings.Contains(message, "nowhere") {
		t.Errorf("the message must name the directory: %q", message)
	}
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.SparseCheckout = []string{"../x"} })
	w.notFetched(repo, sourcev1.InvalidPathReason)
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, meta.StalledCondition) {
		t.Error("a path that leads out can't be right: it must be Stalled")
	}
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lib, err := w.git.Repo(t.Context(), "lib")
	if err != nil {
		t.Fatal(err)
	}
	push := func(value string) {
		t.Helper()
		if _, err := lib.Commit(t.Context(), map[string]string{"deploy/b.yaml": configMapFile("b", value), "x.txt": "x"}, "lib"); err != nil {
			t.Fatal(err)
		}
	}
	push("1")
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.Include = []sourcev1.GitRepositoryInclude{{GitRepositoryRef: meta.LocalObjectReference{Name: "lib"}, FromPath: "deploy", ToPath: "lib"}}
	})
	until(w, repo, "it waits for what it includes", func() bool {
		c := conditionOf(repo, sourcev1.IncludeUnavailableCondition)
		return c.Status == metav1.ConditionTrue && c.Reason == "NotFound" && strings.Contains(c.Message, "lib")
	})
	if ready(repo.Status.Conditions).Status != metav1.ConditionFalse || repo.Status.Artifact != nil {
		t.Errorf("it can't be ready: %+v", repo.Status)
	}
	ks := w.kustomization("shop")
	other := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "lib", Namespace: w.Namespace},
		Spec:       sourcev1.GitRepositorySpec{URL: lib.URL(), Interval: metav1.Duration{Duration: time.Hour}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"}},
	}
	w.create(other)
	w.stored(repo, revision)
	if conditionOf(repo, sourcev1.IncludeUnavailableCondition).Type != "" {
		t.Errorf("IncludeUnavailable stays: %+v", repo.Status.Conditions)
	}
	if d := cmp.Diff(repo.Spec.Include, repo.Status.ObservedInclude); d != "" {
		t.Errorf("observedInclude (-want +got):\n%s", d)
	}
	w.applied(ks, revision)
	w.value("b", "1")
	before := repo.Status.Artifact.Digest

	push("2")
	w.request(other)
	until(w, repo, "it is made anew with what it includes", func() bool {
		return repo.Status.Artifact.Digest != before && len(repo.Status.IncludedArtifacts) == 1
	})
	until(w, other, "the other one has what was pushed", func() bool {
		return other.Status.Artifact != nil && other.Status.Artifact.Digest == repo.Status.IncludedArtifacts[0].Digest
	})
	w.value("b", "2")

	update(w, other, func(r *sourcev1.GitRepository) {
		r.Spec.Include = []sourcev1.GitRepositoryInclude{{GitRepositoryRef: meta.LocalObjectReference{Name: "shop"}}}
	})
	until(w, other, "a circle is found", func() bool {
		c := conditionOf(other, sourcev1.IncludeUnavailableCondition)
		return c.Reason == "IncludeLoop" && strings.Contains(c.Message, "lib → shop → lib")
	})
	update(w, other, func(r *sourcev1.GitRepository) { r.Spec.Include = nil })
	until(w, other, "it is well again", func() bool {
		return ready(other.Status.Conditions).Status == metav1.ConditionTrue && conditionOf(other, sourcev1.IncludeUnavailableCondition).Type == ""
	})
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Include[0].FromPath = "gone" })
	until(w, repo, "what isn't there is named", func() bool {
		c := conditionOf(repo, sourcev1.IncludeUnavailableCondition)
		return c.Reason == "CopyFailure" && strings.Contains(c.Message, "gone")
	})
}

func TestProxyOfARepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	real, err := url.Parse(w.repo.URL())
	if err != nil {
		t.Fatal(err)
	}
	var used atomic.Int64
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host = real.Host }}
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		check := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if user, password, _ := check.BasicAuth(); user != "mando" || password != "proxy-password" {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		used.Add(1)
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	repo := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL = "http://git.invalid" + real.Path
		r.Spec.ProxySecretRef = &meta.LocalObjectReference{Name: "proxy"}
	})
	if message := w.notFetched(repo, sourcev1.AuthenticationFailedReason); !strings.Contains(message, "spec.proxySecretRef") {
		t.Errorf("the message must name the field: %q", message)
	}
	secret := w.secret("proxy", map[string]string{"address": proxy.URL, "username": "mando", "password": "wrong-password"})
	w.fetch()
	until(w, repo, "the proxy refused it", func() bool { return strings.Contains(ready(repo.Status.Conditions).Message, "refused the credentials") })
	if strings.Contains(ready(repo.Status.Conditions).Message, "wrong-password") {
		t.Errorf("the message shows the password: %q", ready(repo.Status.Conditions).Message)
	}
	update(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": "proxy-password"} })
	w.fetch()
	w.stored(repo, revision)
	if used.Load() == 0 {
		t.Error("the proxy wasn't used")
	}
}

func TestGitHubAppOfARepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, w.repo = gittest.Start(t, "private", gitserver.Options{Username: "x-access-token", Password: "ghs_installation-token"})
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/app/installations/7/access_tokens" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer eyJ") {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		rw.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(rw).Encode(map[string]any{"token": "ghs_installation-token", "expires_at": time.Now().Add(time.Hour)})
	}))
	t.Cleanup(api.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	repo := w.source(func(r *sourcev1.GitRepository) { r.Spec.Provider = sourcev1.GitProviderGitHub })
	w.notFetched(repo, sourcev1.InvalidProviderConfigurationReason)
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, meta.StalledCondition) {
		t.Error("an app without a Secret can't work: it must be Stalled")
	}
	w.secret("app", map[string]string{
		"githubAppID": "42", "githubAppInstallationID": "7", "githubAppBaseURL": api.URL,
		"githubAppPrivateKey": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.SecretRef = &meta.LocalObjectReference{Name: "app"} })
	w.stored(repo, revision)
	update(w, repo, func(r *sourcev1.GitRepository) { r.Spec.Provider = "" })
	if message := w.notFetched(repo, sourcev1.InvalidProviderConfigurationReason); !strings.Contains(message, "spec.provider: github") {
		t.Errorf("the message must say what to set: %q", message)
	}
}
