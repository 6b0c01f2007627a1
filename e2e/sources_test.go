package e2e_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

func TestReferences(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")})
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	commits := map[string]string{}
	for _, version := range []string{"v1.0.0", "v1.1.0", "v2.0.0"} {
		sha, err := repo.Commit(t.Context(), e2e.Files{"version": version}, version)
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Tag(t.Context(), version, sha, "annotated"); err != nil {
			t.Fatal(err)
		}
		commits[version] = sha
	}
	if _, err := repo.Apply(t.Context(), gitserver.Change{Branch: "feature", From: "v1.0.0", Message: "f", Files: e2e.Files{"f": "1"}}); err != nil {
		t.Fatal(err)
	}
	feature, err := repo.Head(t.Context(), "feature")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		ref  sourcev1.GitRepositoryRef
		want string
	}{
		"branch": {sourcev1.GitRepositoryRef{Branch: "feature"}, "feature@sha1:" + feature},
		"tag":    {sourcev1.GitRepositoryRef{Tag: "v1.0.0"}, "v1.0.0@sha1:" + commits["v1.0.0"]},
		"semver": {sourcev1.GitRepositoryRef{SemVer: "1.x"}, "v1.1.0@sha1:" + commits["v1.1.0"]},
		"name":   {sourcev1.GitRepositoryRef{Name: "refs/tags/v2.0.0"}, "refs/tags/v2.0.0@sha1:" + commits["v2.0.0"]},
		"commit": {sourcev1.GitRepositoryRef{Commit: commits["v1.0.0"]}, "sha1:" + commits["v1.0.0"]},
	}
	for name, tc := range cases {
		g.Object(gitRepository(name, repo.URL(), tc.ref))
	}
	for name, tc := range cases {
		g.Then().ReadyAt("gitrepository/"+name, tc.want)
	}
}

func gitRepository(name, address string, ref sourcev1.GitRepositoryRef) *sourcev1.GitRepository {
	obj := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Name: name}}
	obj.Spec.URL, obj.Spec.Reference = address, &ref
	obj.Spec.Interval.Duration = 3_600_000_000_000
	return obj
}

func TestARevisionThatVanished(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/a").
		When().
		Resource("shop", e2e.Ref(sourcev1.GitRepositoryRef{Branch: "gone"})).
		Then().
		Failed("gitrepository/shop", "GitOperationFailed", "gone").
		Untouched("configmap/a").
		When().
		Resource("shop", e2e.Ref(sourcev1.GitRepositoryRef{Commit: strings.Repeat("ab", 20)})).
		Then().
		Failed("gitrepository/shop", "GitOperationFailed", "abab").
		Untouched("configmap/a").
		When().
		Resource("shop", e2e.Ref(sourcev1.GitRepositoryRef{Branch: "main"})).
		Then().
		Ready("gitrepository/shop").
		Ready("kustomization/shop")
}

func TestAForcedPush(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "is", "red")}).
		Kustomization("shop", inNamespace(g))
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Head(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	g.Then().
		Ready("kustomization/shop").
		When().
		Commit("shop", e2e.Files{"a.yaml": configMap("a", "is", "blue"), "b.yaml": configMap("b", "k", "v")}).
		Then().
		Has("configmap/a", e2e.Data("is", "blue")).
		Has("configmap/b").
		When().
		Rewind("shop", first).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a", e2e.Data("is", "red")).
		Gone("configmap/b")
}

func TestPasswords(t *testing.T) {
	g := e2e.Given(t)
	const password = "open-sesame-7f3a"
	private, err := gitserver.Start(gitserver.Options{Dir: t.TempDir(), Username: "robot", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = private.Close() })
	repo, err := private.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	sha, err := repo.Commit(t.Context(), e2e.Files{"a.yaml": configMap("a", "k", "v")}, "first")
	if err != nil {
		t.Fatal(err)
	}
	obj := gitRepository("shop", repo.URL(), sourcev1.GitRepositoryRef{Branch: "main"})
	obj.Spec.SecretRef = &meta.LocalObjectReference{Name: "login"}
	const wrong = "wrong-word-91c2"
	g.Object(obj).
		Then().
		Failed("gitrepository/shop", "AuthenticationFailed", "login").
		When().
		Create(login("login", "robot", wrong)).
		Reconcile("gitrepository/shop").
		Then().
		Failed("gitrepository/shop", "AuthenticationFailed").
		Says("gitrepository/shop", wrong, false).
		When().
		Patch("secret/login", `{"stringData":{"password":"`+password+`"}}`).
		Reconcile("gitrepository/shop").
		Then().
		ReadyAt("gitrepository/shop", "main@sha1:"+sha).
		Says("gitrepository/shop", password, false)
}

func TestSSH(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")})
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	key, err := g.Git.NewSSHKey()
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(repo.SSHURL())
	if err != nil {
		t.Fatal(err)
	}
	impostor, err := gitserver.Start(gitserver.Options{Dir: t.TempDir(), SSHListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = impostor.Close() })
	// The impostor's key under the true server's name.
	_, impostorKey, _ := strings.Cut(impostor.KnownHosts(), " ")
	trueHost, _, _ := strings.Cut(g.Git.KnownHosts(), " ")

	obj := gitRepository("shop", address.String(), sourcev1.GitRepositoryRef{Branch: "main"})
	obj.Spec.SecretRef = &meta.LocalObjectReference{Name: "deploy-key"}
	g.Secret("deploy-key", map[string]string{"identity": string(key), "known_hosts": trueHost + " " + impostorKey}).
		Object(obj).
		Then().
		Failed("gitrepository/shop", "AuthenticationFailed", "host key").
		When().
		Patch("secret/deploy-key", `{"stringData":{"known_hosts":"`+strings.TrimSpace(g.Git.KnownHosts())+`\n"}}`).
		Reconcile("gitrepository/shop").
		Then().
		ReadyAt("gitrepository/shop", "")
}

func TestARepositoryBomb(t *testing.T) {
	g := e2e.Given(t)
	files := e2e.Files{}
	for i := range 300 {
		files[strings.Repeat("d/", i)+"f"] = "x"
	}
	g.Repository("bomb", files).
		Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Failed("gitrepository/bomb", "LimitExceeded").
		Ready("kustomization/shop")
}

func TestAServerThatIsNotThere(t *testing.T) {
	g := e2e.Given(t)
	g.Object(gitRepository("shop", "http://user:hush-4d1e@127.0.0.1:1/shop.git", sourcev1.GitRepositoryRef{Branch: "main"})).
		Then().
		Failed("gitrepository/shop", "").
		Says("gitrepository/shop", "hush-4d1e", false)
}
