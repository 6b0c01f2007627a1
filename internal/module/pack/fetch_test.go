package pack_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
)

// runner are the files of a package in a version.
func runner(version string) map[string]string {
	return map[string]string{
		"package.yaml":        strings.Replace(least, "1.4.2", version, 1) + "published: \"2026-11-01T10:00:00Z\"\n",
		"manifests/main.yaml": deployment,
	}
}

func versionsOf(all []pack.Available) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.Version)
	}
	return names
}

func TestFetchFromARegistry(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	digest := publish(t, s, "packages/runner", runner("1.4.2"), "1.4.2")
	publish(t, s, "packages/runner", runner("1.10.0"), "v1.10.0")
	publish(t, s, "packages/runner", runner("2.0.0-rc.1"), "2.0.0-rc.1")
	publish(t, s, "packages/runner", runner("1.4.2"), "latest")
	publish(t, s, "packages/runner", runner("1.5.0+b7"), "1.5.0_b7")
	f := fetcher(t, pack.Insecure(s.host()))
	from := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/packages/runner"}}

	all, err := f.Versions(t.Context(), from, pack.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2.0.0-rc.1", "1.10.0", "1.5.0+b7", "1.4.2"}
	if diff := cmp.Diff(want, versionsOf(all)); diff != "" {
		t.Errorf("tags that move are no versions (-want +got):\n%s", diff)
	}
	for _, version := range want {
		p, err := f.Fetch(t.Context(), from, version, pack.Credentials{}, nil)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if p.Manifest.Version != version || p.SignedBy != "" {
			t.Errorf("%s: got %+v", version, p.Manifest)
		}
	}
	p, err := f.Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Digest) != digest || p.URL != from.OCI.URL+":1.4.2" || !p.Published.Equal(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("got %s %s %s", p.Digest, p.URL, p.Published)
	}
	if got := names(render(t, p, pack.Rendering{Namespace: "a"})); !cmp.Equal(got, []string{"Deployment/a/runner"}) {
		t.Errorf("got %v", got)
	}
	s.asked()
	if _, err := f.Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.asked(); len(got) != 1 || !strings.HasPrefix(got[0], "HEAD ") {
		t.Errorf("what is known costs one question: got %v", got)
	}
	if _, err := f.Fetch(t.Context(), from, "9.9.9", pack.Credentials{}, nil); !errors.Is(err, pack.ErrNoVersion) {
		t.Errorf("got %v, want %v", err, pack.ErrNoVersion)
	}
}

func TestSourcesThatDontAnswer(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	publish(t, s, "runner", runner("1.4.2"), "1.4.2")
	gone := serve(t, http.NotFoundHandler())
	gone.Close()
	oci := func(s *server) v1alpha1.PackageSource {
		return v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/runner"}}
	}
	web := func(s *server) v1alpha1.PackageSource {
		return v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: s.URL + "/{version}.yaml?token=hunter22"}}
	}
	chart := func(s *server) v1alpha1.PackageSource {
		return v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: s.URL + "/charts", Name: "web"}}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	cases := map[string]struct {
		reason string
		from   func(*server) v1alpha1.PackageSource
		answer http.HandlerFunc // nil: nobody is there
		again  bool
	}{
		"Registry":           {reason: "nobody is there", from: oci, again: true},
		"RegistryBusy":       {reason: "it wants to be left alone", from: oci, answer: status(http.StatusTooManyRequests), again: true},
		"RegistryIll":        {reason: "it isn't well", from: oci, answer: status(http.StatusBadGateway), again: true},
		"RegistryRefuses":    {reason: "the login is wrong until somebody changes it", from: oci, answer: status(http.StatusForbidden)},
		"RegistryHasNot":     {reason: "the version isn't there", from: oci, answer: status(http.StatusNotFound)},
		"Web":                {reason: "nobody is there", from: web, again: true},
		"WebBusy":            {reason: "it wants to be left alone", from: web, answer: status(http.StatusTooManyRequests), again: true},
		"WebIll":             {reason: "it isn't well", from: web, answer: status(http.StatusInternalServerError), again: true},
		"WebRefuses":         {reason: "the login is wrong", from: web, answer: status(http.StatusUnauthorized)},
		"WebHasNot":          {reason: "the version isn't there", from: web, answer: status(http.StatusNotFound)},
		"Repository":         {reason: "nobody is there", from: chart, again: true},
		"RepositoryIll":      {reason: "it isn't well", from: chart, answer: status(http.StatusServiceUnavailable), again: true},
		"RepositoryRefuses":  {reason: "the login is wrong", from: chart, answer: status(http.StatusUnauthorized)},
		"RepositoryNonsense": {reason: "it is something else", from: chart, answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[1]")) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			to := gone
			if c.answer != nil {
				to = serve(t, c.answer)
			}
			f := fetcher(t, pack.Insecure(to.host()))
			_, err := f.Fetch(t.Context(), c.from(to), "1.4.2", pack.Credentials{Secret: map[string][]byte{"username": []byte("robot"), "password": []byte("hunter22")}}, nil)
			var later *pack.Unavailable
			if err == nil || errors.As(err, &later) != c.again {
				t.Errorf("%s: got %v, to be asked again: %t", c.reason, err, c.again)
			}
			if err != nil && strings.Contains(err.Error(), "hunter22") {
				t.Errorf("%v shows a secret", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fetcher(t, pack.Insecure(s.host())).Fetch(ctx, oci(s), "1.4.2", pack.Credentials{}, nil)
	if later := (&pack.Unavailable{}); !errors.As(err, &later) {
		t.Errorf("got %v: who was interrupted has learned nothing", err)
	}
}

func TestRegistriesWithoutTLSMustBeAllowed(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	publish(t, s, "runner", runner("1.4.2"), "1.4.2")
	from := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/runner"}}
	_, err := fetcher(t).Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
	if err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("got %v", err)
	}
}

func TestSignaturesOfPackages(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	mine, theirs := newSigner(t), newSigner(t)
	if err := mine.Sign(s.host() + "/runner@" + publish(t, s, "runner", runner("1.4.2"), "1.4.2")); err != nil {
		t.Fatal(err)
	}
	publish(t, s, "runner", runner("1.5.0"), "1.5.0")
	f := fetcher(t, pack.Insecure(s.host()))
	registry := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/runner"}}
	by := func(s *cosign.Signer) *pack.Verification {
		return &pack.Verification{Keys: map[string][]byte{"release.pub": s.Public}}
	}
	p, err := f.Fetch(t.Context(), registry, "1.4.2", pack.Credentials{}, by(mine))
	if err != nil {
		t.Fatal(err)
	}
	if p.SignedBy == "" {
		t.Error("who signed is told")
	}
	cases := map[string]struct {
		reason  string
		from    v1alpha1.PackageSource
		version string
		verify  *pack.Verification
	}{
		"Others":   {reason: "signed by somebody else", from: registry, version: "1.4.2", verify: by(theirs)},
		"Unsigned": {reason: "not signed at all", from: registry, version: "1.5.0", verify: by(mine)},
		"Git":      {reason: "no signature of a package is there", from: v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: "https://git.example.com/a"}}, version: "1.4.2", verify: by(mine)},
		"Web":      {reason: "nor there", from: v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: "https://example.com/a"}}, version: "1.4.2", verify: by(mine)},
		"Helm":     {reason: "nor there", from: v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: "https://example.com/a"}}, version: "1.4.2", verify: by(mine)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := f.Fetch(t.Context(), c.from, c.version, pack.Credentials{}, c.verify)
			if !errors.Is(err, pack.ErrUnsigned) {
				t.Errorf("%s: got %v, want %v", c.reason, err, pack.ErrUnsigned)
			}
		})
	}
	keyless := &pack.Verification{Identities: []v1alpha1.SignerIdentity{{Issuer: "https://a", Subject: "b"}}}
	if _, err := f.Fetch(t.Context(), registry, "1.4.2", pack.Credentials{}, keyless); err == nil || !strings.Contains(err.Error(), "vouches") {
		t.Errorf("identities without anybody who vouches for them: got %v", err)
	}
}

func TestVersionMustBeWhatThePackageSays(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	publish(t, s, "runner", runner("1.4.1"), "1.4.2")
	from := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/runner"}}
	_, err := fetcher(t, pack.Insecure(s.host())).Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
	if err == nil || !strings.Contains(err.Error(), "1.4.1") {
		t.Errorf("got %v: a tag that lies is found out", err)
	}
}

func TestHostileArtifacts(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	cases := map[string]struct {
		reason string
		layer  []byte
		want   string
	}{
		"NoArchive": {reason: "no archive", layer: []byte("hello"), want: "archive"},
		"NoPackage": {reason: "something else", layer: packed(t, map[string]string{"a.yaml": "a"}), want: "no package"},
		"Traversal": {reason: "leads out of the folder", layer: packed(t, map[string]string{"package.yaml": least, "../../etc/passwd": "x"}), want: "leads out"},
		"Bomb":      {reason: "unpacks to gigabytes", layer: packed(t, map[string]string{"package.yaml": least, "manifests/a.yaml": strings.Repeat("\x00", 70<<20)}), want: "limit"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pushLayer(t, s, "hostile/"+strings.ToLower(name)+":1.4.2", "application/vnd.cncf.flux.content.v1.tar+gzip", c.layer)
			from := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/hostile/" + strings.ToLower(name)}}
			_, err := fetcher(t, pack.Insecure(s.host())).Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
			var later *pack.Unavailable
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &later) {
				t.Errorf("%s: got %v, want a lasting error with %q", c.reason, err, c.want)
			}
		})
	}
}

func TestFetchFromGit(t *testing.T) {
	t.Parallel()
	_, repo := gittest.Start(t, "platform", gitserver.Options{})
	for version, tag := range map[string]string{"1.4.2": "runner-v1.4.2", "1.5.0": "runner-1.5.0"} {
		files := map[string]string{"README.md": "of the repository", "packages/other/a": "b"}
		for name, content := range runner(version) {
			files["packages/runner/"+name] = content
		}
		commit, err := repo.Commit(t.Context(), files, version)
		if err == nil {
			err = repo.Tag(t.Context(), tag, commit, "release "+version)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f := fetcher(t)
	from := v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: repo.URL(), Path: "packages/runner", TagPrefix: "runner-"}}
	all, err := f.Versions(t.Context(), from, pack.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.5.0", "1.4.2"}, versionsOf(all)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p, err := f.Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(render(t, p, pack.Rendering{Namespace: "a"})); !cmp.Equal(got, []string{"Deployment/a/runner"}) {
		t.Errorf("got %v", got)
	}
	if p.URL != repo.URL()+"@runner-v1.4.2#packages/runner" || !strings.HasPrefix(string(p.Digest), "sha256:") {
		t.Errorf("got %s %s", p.URL, p.Digest)
	}
	other, err := f.Fetch(t.Context(), from, "1.5.0", pack.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if other.Digest == p.Digest {
		t.Error("another version has another digest")
	}
	if _, err := f.Fetch(t.Context(), from, "9.9.9", pack.Credentials{}, nil); !errors.Is(err, pack.ErrNoVersion) {
		t.Errorf("got %v, want %v", err, pack.ErrNoVersion)
	}
}

func TestFetchManifests(t *testing.T) {
	t.Parallel()
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); r.URL.Path != "/v1.4.2/install.yaml" || password != "hunter22" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(deployment + "---\n" + clusterRole))
	}))
	f := fetcher(t)
	login := pack.Credentials{Secret: map[string][]byte{"username": []byte("robot"), "password": []byte("hunter22")}}
	from := v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: s.URL + "/v{version}/install.yaml"}}
	if _, err := f.Versions(t.Context(), from, login); !errors.Is(err, pack.ErrUnlisted) {
		t.Errorf("got %v, want %v", err, pack.ErrUnlisted)
	}
	p, err := f.Fetch(t.Context(), from, "1.4.2", login, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(render(t, p, pack.Rendering{Namespace: "a"})); !cmp.Equal(got, []string{"Deployment/a/runner", "ClusterRole//runner"}) {
		t.Errorf("got %v", got)
	}
	if p.Manifest.Name != "install" || p.URL != s.URL+"/v1.4.2/install.yaml" {
		t.Errorf("got %+v %s", p.Manifest, p.URL)
	}
	from.Manifests.Digest = p.Digest
	if _, err := f.Fetch(t.Context(), from, "1.4.2", login, nil); err != nil {
		t.Errorf("the digest is the file's: %v", err)
	}
	from.Manifests.Digest = v1alpha1.Digest("sha256:" + strings.Repeat("0", 64))
	if _, err := f.Fetch(t.Context(), from, "1.4.2", login, nil); !errors.Is(err, source.ErrDigest) {
		t.Errorf("got %v, want %v", err, source.ErrDigest)
	}
}

const webChart = `apiVersion: v2
name: web
version: 1.4.2
description: A web server.
dependencies: [{name: sub, version: 0.1.0, repository: ""}]
`

// chartFiles are those of a chart with a packed subchart.
func chartFiles(t testing.TB) map[string]string {
	t.Helper()
	sub := packed(t, map[string]string{
		"sub/Chart.yaml":       "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
		"sub/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub}\n",
	})
	return map[string]string{
		"web/Chart.yaml":           webChart,
		"web/values.yaml":          "replicas: 1\npassword: \"\"\n",
		"web/values.schema.json":   `{"type": "object", "properties": {"replicas": {"type": "integer"}}}`,
		"web/crds/a.yaml":          strings.Replace(definition, "%s", "Cluster", 1),
		"web/charts/sub-0.1.0.tgz": string(sub),
		"web/templates/a.yaml":     strings.Replace(deployment, "spec:\n", "spec:\n  replicas: {{ .Values.replicas }}\n", 1),
		"web/templates/b.yaml":     "apiVersion: batch/v1\nkind: Job\nmetadata: {name: prepare, annotations: {helm.sh/hook: pre-install}}\n",
		"web/templates/c.yaml":     "apiVersion: example.com/v1\nkind: Job\nmetadata: {name: one}\n{{ if eq .Values.password \"hunter22-short\" }}{{ fail (printf \"the password %s is too short\" .Values.password) }}{{ end }}\n",
		"web/templates/test.yaml":  "apiVersion: v1\nkind: Pod\nmetadata: {name: 'try-{{ randAlphaNum 5 | lower }}', annotations: {helm.sh/hook: test}}\n",
		"web/templates/d.yaml":     "{{ if .Values.madeUp }}apiVersion: v1\nkind: Secret\nmetadata: {name: made-up}\nstringData: {a: '{{ randAlphaNum 5 }}'}\n{{ end }}",
		"web/templates/NOTES.txt":  "Thank you for installing {{ .Release.Name }}.\n",
	}
}

var wantOfChart = []string{"ConfigMap/a/sub", "CustomResourceDefinition//jobs.example.com", "Deployment/a/runner", "Job//one"}

func TestFetchChartFromARepository(t *testing.T) {
	t.Parallel()
	archive := packed(t, chartFiles(t))
	const index = "apiVersion: v1\nentries:\n  alpha:\n  - version: 9.9.9\n    urls: [none]\n  web:\n  - created: \"2026-11-01T10:00:00Z\"\n    description: |-\n      Some text:\n\n      web:\n" +
		"    urls:\n    - files/web-1.4.2.tgz\n    version: 1.4.2\n  - urls: [https://elsewhere.example.com/web-1.4.1.tgz]\n    version: v1.4.1\n  zeta:\n  - version: 8.8.8\n    urls: [none]\ngenerated: \"2026\"\n"
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hunter22" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/charts/index.yaml":
			w.Header().Set("ETag", `"one"`)
			if r.Header.Get("If-None-Match") == `"one"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write([]byte(index))
		case "/charts/files/web-1.4.2.tgz":
			_, _ = w.Write(archive)
		default:
			http.NotFound(w, r)
		}
	}))
	f := fetcher(t)
	login := pack.Credentials{Secret: map[string][]byte{"username": []byte("robot"), "password": []byte("hunter22")}}
	from := v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: s.URL + "/charts", Name: "web"}}
	for range 2 { // the second time the index is the same
		all, err := f.Versions(t.Context(), from, login)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1.4.2", "1.4.1"}, versionsOf(all)); diff != "" || all[0].Published.IsZero() {
			t.Errorf("(-want +got):\n%s%+v", diff, all)
		}
	}
	p, err := f.Fetch(t.Context(), from, "1.4.2", login, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Manifest.Name != "web" || p.Manifest.Description != "A web server." || p.Published.IsZero() || !strings.HasPrefix(string(p.Digest), "sha256:") {
		t.Errorf("got %+v", p)
	}
	checkChart(t, p)
	if _, err := f.Fetch(t.Context(), from, "1.4.0", login, nil); !errors.Is(err, pack.ErrNoVersion) {
		t.Errorf("got %v, want %v", err, pack.ErrNoVersion)
	}
	from.Chart.Name = "nothing"
	if _, err := f.Versions(t.Context(), from, login); !errors.Is(err, pack.ErrNoVersion) {
		t.Errorf("got %v, want %v", err, pack.ErrNoVersion)
	}
}

// What was fetched with somebody's login is shown to nobody else who knows its address and its digest.
func TestChartsOfOthersStayTheirs(t *testing.T) {
	t.Parallel()
	archive := packed(t, chartFiles(t))
	sum := sha256.Sum256(archive)
	private := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hunter22" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/web-1.4.2.tgz" {
			_, _ = w.Write(archive)
			return
		}
		_, _ = fmt.Fprintf(w, "entries:\n  web:\n  - {version: 1.4.2, digest: %x, urls: [web-1.4.2.tgz]}\n", sum)
	}))
	thief := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "entries:\n  web:\n  - {version: 1.4.2, digest: %x, urls: [%q]}\n", sum, private.URL+"/web-1.4.2.tgz")
	}))
	f := fetcher(t)
	login := pack.Credentials{Secret: map[string][]byte{"username": []byte("robot"), "password": []byte("hunter22")}}
	mine := v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: private.URL, Name: "web"}}
	for range 2 { // the second time it is known
		if _, err := f.Fetch(t.Context(), mine, "1.4.2", login, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := slices.DeleteFunc(private.asked(), func(r string) bool { return !strings.HasSuffix(r, ".tgz") }); len(got) != 1 {
		t.Errorf("it asked for %v: what is known isn't fetched again", got)
	}
	theirs := v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: thief.URL, Name: "web"}}
	for name, credentials := range map[string]pack.Credentials{"without a login": {}, "with a login for its own repository": login} {
		if _, err := f.Fetch(t.Context(), theirs, "1.4.2", credentials, nil); err == nil {
			t.Errorf("%s: another repository's chart was given away", name)
		}
	}
}

// A login is for the server that the Module names, not for where that sends on to, be it only another port of the same host.
func TestLoginsStayAtHome(t *testing.T) {
	t.Parallel()
	var shown atomic.Value
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(deployment))
	}))
	home := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/install.yaml" {
			http.Redirect(w, r, "/moved.yaml", http.StatusFound)
			return
		}
		http.Redirect(w, r, elsewhere.URL+"/install.yaml", http.StatusFound)
	}))
	login := pack.Credentials{Secret: map[string][]byte{"username": []byte("robot"), "password": []byte("hunter22")}}
	from := v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: home.URL + "/install.yaml"}}
	if _, err := fetcher(t).Fetch(t.Context(), from, "1.4.2", login, nil); err != nil {
		t.Fatal(err)
	}
	if got := shown.Load(); got != "" {
		t.Errorf("another port was shown %q", got)
	}
}

func TestFetchChartFromARegistry(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	pushLayer(t, s, "charts/web:1.4.2", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", packed(t, chartFiles(t)))
	f := fetcher(t, pack.Insecure(s.host()))
	from := v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: "oci://" + s.host() + "/charts", Name: "web"}}
	all, err := f.Versions(t.Context(), from, pack.Credentials{})
	if err != nil || !cmp.Equal(versionsOf(all), []string{"1.4.2"}) {
		t.Fatalf("got %v, %v", all, err)
	}
	p, err := f.Fetch(t.Context(), from, "1.4.2", pack.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkChart(t, p)
}

func checkChart(t *testing.T, p *pack.Package) {
	t.Helper()
	out, err := p.RenderAll(t.Context(), pack.Rendering{Name: "rel", Namespace: "a", Values: pack.Values{"replicas": int64(3)}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantOfChart, names(out.Objects)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(out.Hooks) != 2 || out.Hooks[0] != "Job/prepare" {
		t.Errorf("hooks are left out and named: got %v", out.Hooks)
	}
	if replicas := out.Objects[2].Object["spec"].(map[string]any)["replicas"]; replicas != int64(3) { //nolint:forcetypeassert // A Deployment.
		t.Errorf("got %v replicas", replicas)
	}
	_, err = p.Render(t.Context(), pack.Rendering{Values: pack.Values{"madeUp": true}})
	if err == nil || !strings.Contains(err.Error(), "randAlphaNum") || !strings.Contains(err.Error(), "templates/d.yaml") {
		t.Errorf("got %v: objects that would be others each time are refused, and hooks aren't objects", err)
	}
	_, err = p.Render(t.Context(), pack.Rendering{Values: pack.Values{"replicas": "many"}})
	if bad := (&pack.Invalid{}); !errors.As(err, &bad) || !strings.Contains(err.Error(), "values.replicas") {
		t.Errorf("got %v: the schema of the chart counts", err)
	}
	_, err = p.Render(t.Context(), pack.Rendering{Values: pack.Values{"password": "hunter22-short"}})
	if err == nil || strings.Contains(err.Error(), "hunter22") || !strings.Contains(err.Error(), "too short") {
		t.Errorf("got %v: what the chart says is told, and the password isn't", err)
	}
}

func TestChartInAPackage(t *testing.T) {
	t.Parallel()
	files := map[string]string{"package.yaml": least + "values: {replicas: 2}\n"}
	for name, content := range chartFiles(t) {
		files["chart/"+strings.TrimPrefix(name, "web/")] = content
	}
	checkChart(t, open(t, files))
	files["chart/.helmignore"] = "# not part of it\nbroken.yaml\n"
	files["chart/templates/broken.yaml"] = "{{ fail \"it should have been ignored\" }}"
	checkChart(t, open(t, files))
	packedChart := map[string]string{"package.yaml": least, "chart/web-1.4.2.tgz": string(packed(t, chartFiles(t)))}
	checkChart(t, open(t, packedChart))
	objects := render(t, open(t, files), pack.Rendering{Namespace: "a"})
	if replicas := objects[2].Object["spec"].(map[string]any)["replicas"]; replicas != int64(2) { //nolint:forcetypeassert // A Deployment.
		t.Errorf("got %v replicas: the package's values are over the chart's", replicas)
	}
}

func TestFetchedPackagesAreForgotten(t *testing.T) {
	t.Parallel()
	s := newRegistry(t)
	publish(t, s, "runner", runner("1.4.2"), "1.4.2")
	publish(t, s, "runner", runner("1.5.0"), "1.5.0")
	now := time.Now()
	dir := t.TempDir()
	f, err := pack.NewFetcher(dir, pack.Insecure(s.host()), pack.WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	from := v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + s.host() + "/runner"}}
	fetch := func(version string) *pack.Package {
		p, err := f.Fetch(t.Context(), from, version, pack.Credentials{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	stored := func() int {
		all, err := os.ReadDir(filepath.Join(dir, "snapshots"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	old := fetch("1.4.2")
	now = now.Add(23 * time.Hour)
	fetch("1.5.0")
	render(t, old, pack.Rendering{})
	before := stored()
	now = now.Add(25 * time.Hour)
	fetch("1.5.0")
	if after := stored(); after >= before {
		t.Errorf("%d snapshots are stored, and were before: what nobody asked for in a day goes", after)
	}
}
