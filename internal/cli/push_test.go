package cli

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// registryHost starts a registry; with a password, it wants robot's login.
func registryHost(t *testing.T, password string) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, got, _ := r.BasicAuth(); password != "" && (user != "robot" || got != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPushAndPullArtifact(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	host := registryHost(t, "")
	from := folder(t, map[string]string{"a.yaml": "a", "deploy/b.yaml": "b", "logo.png": "p", ".git/config": "g"})
	args := []string{
		"push", "artifact", "oci://" + host + "/shop:1.0.0", "--path", from, "--insecure", "--reproducible",
		"--source", "https://git.example.com/shop", "--revision", "main@sha1:abc", "--annotations", "team=shop", "--tag", "latest",
	}
	first := slipway(t, args...)
	first.want(t, ExitDone, "oci://"+host+"/shop:1.0.0@sha256:", "pushed")
	if again := slipway(t, args...); again.out != first.out {
		t.Errorf("the same files must give the same digest:\n%s%s", first.out, again.out)
	}
	to := filepath.Join(t.TempDir(), "out")
	slipway(t, "pull", "artifact", "oci://"+host+"/shop:latest", "--output", to, "--insecure").
		want(t, ExitDone, "latest@sha256:", "org.opencontainers.image.revision: main@sha1:abc", "org.opencontainers.image.source: https://git.example.com/shop", "team: shop")
	for name, want := range map[string]string{"a.yaml": "a", "deploy/b.yaml": "b", "logo.png": "", ".git/config": ""} {
		if got, _ := os.ReadFile(filepath.Join(to, name)); string(got) != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	digest := strings.TrimSuffix(first.out[strings.Index(first.out, "@")+1:], " pushed\n")
	slipway(t, "pull", "artifact", "oci://"+host+"/shop@"+digest, "--output", to, "--insecure").want(t, ExitDone, digest)
}

func TestPushLogin(t *testing.T) {
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	host := registryHost(t, "hunter2")
	push := []string{"push", "artifact", "oci://" + host + "/shop:1", "--path", folder(t, map[string]string{"a.yaml": "a"}), "--insecure"}
	slipway(t, push...).want(t, ExitFailed, "docker login", "--creds")
	slipway(t, append(push, "--creds", "robot:hunter2")...).want(t, ExitDone, "pushed")
	stored := `{"auths":{"` + host + `":{"username":"robot","password":"hunter2"}}}`
	if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(stored), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, push...).want(t, ExitDone, "pushed")
	wrong := slipway(t, append(push, "--creds", "robot:hunter3")...)
	wrong.want(t, ExitFailed, "refused the login")
	if strings.Contains(wrong.out+wrong.err, "hunter") {
		t.Error("the password is shown")
	}
}

func TestPushRefuses(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	linked := folder(t, map[string]string{"a.yaml": "a"})
	if err := os.Symlink("a.yaml", filepath.Join(linked, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args []string
		code int
		text string
	}{
		"NoScheme": {[]string{"push", "artifact", "registry.example.com/shop:1"}, ExitUsage, "oci://HOST/PATH:TAG"},
		"Digest":   {[]string{"push", "artifact", "oci://registry.example.com/shop@sha256:" + strings.Repeat("a", 64)}, ExitUsage, "needs a tag"},
		"NoFolder": {[]string{"push", "artifact", "oci://127.0.0.1:1/shop:1", "--path", "/does/not/exist"}, ExitFailed, "--path"},
		"Empty":    {[]string{"push", "artifact", "oci://127.0.0.1:1/shop:1", "--path", t.TempDir()}, ExitFailed, "no file to pack"},
		"Link":     {[]string{"push", "artifact", "oci://127.0.0.1:1/shop:1", "--path", linked}, ExitFailed, "symbolic link"},
		"Plain":    {[]string{"push", "artifact", "oci://" + registryHost(t, "") + "/shop:1", "--path", folder(t, map[string]string{"a": "a"})}, ExitFailed, "insecure"},
		"NoOutput": {[]string{"pull", "artifact", "oci://127.0.0.1:1/shop:1"}, ExitUsage, "--output"},
		"Gone":     {[]string{"pull", "artifact", "oci://" + registryHost(t, "") + "/shop:1", "--output", t.TempDir(), "--insecure"}, ExitFailed, "shop:1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			slipway(t, tc.args...).want(t, tc.code, tc.text)
		})
	}
}
