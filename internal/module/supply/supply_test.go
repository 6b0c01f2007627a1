package supply_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/supply"
	"github.com/slipway-dev/slipway/internal/source"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// world is a registry with packages, and a cluster in whose test namespace the agent lives.
type world struct {
	*testing.T
	client    client.Client
	namespace string
	host      string
	now       time.Time
	shelf     *supply.Shelf

	mu     sync.Mutex
	logins []string
	ci     string // the login of push
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	w := &world{T: t, client: env.Client(t), namespace: env.Namespace, now: time.Now(), ci: "Basic Y2k6Y2k="}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if login := r.Header.Get("Authorization"); login != "" {
			w.mu.Lock()
			w.logins = append(w.logins, login)
			w.mu.Unlock()
		}
		if strings.HasPrefix(r.URL.Path, "/v2/private") && r.Header.Get("Authorization") == "" || r.URL.Path == "/v2/" && r.Header.Get("Authorization") == "" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="packages"`)
			if strings.HasPrefix(r.URL.Path, "/v2/private") {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	shelf, err := supply.New(supply.Settings{
		Reader: w.client, Namespace: w.namespace, Dir: t.TempDir(), Insecure: []string{w.host}, Now: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shelf.Close)
	w.shelf = shelf
	return w
}

// push builds a package and puts it into the registry.
func (w *world) push(repository, version, published string) {
	w.Helper()
	manifest := "apiVersion: slipway.dev/v1alpha1\nkind: Package\nname: runner\nversion: " + version + "\nnamespace: runners\nsubstitute: true\n" +
		"requires: [{name: cert-manager, version: '>=1.14'}]\nrollback: {}\nvalues: {level: info}\nschema: {type: object, properties: {level: {type: string}}, additionalProperties: false}\n"
	if published != "" {
		manifest += "published: " + published + "\n"
	}
	files := fstest.MapFS{
		"package.yaml":            {Data: []byte(manifest)},
		"manifests/settings.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: \"${level}\"}\n")},
	}
	store, err := source.NewStore(w.TempDir())
	if err != nil {
		w.Fatal(err)
	}
	image, _, err := pack.Build(w.Context(), store, files)
	if err != nil {
		w.Fatal(err)
	}
	ref, err := name.NewTag(w.host+"/"+repository+":"+version, name.Insecure)
	if err != nil {
		w.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: "ci", Password: "ci"})); err != nil {
		w.Fatal(err)
	}
}

func (w *world) make(objects ...client.Object) {
	w.Helper()
	for _, o := range objects {
		o.SetNamespace(w.namespace)
		if err := w.client.Create(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) module(repository string) *v1alpha1.Module {
	return &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: "runner"},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + w.host + "/" + repository}}},
	}
}

func values(t *testing.T, v map[string]any) *apiextensionsv1.JSON {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return &apiextensionsv1.JSON{Raw: raw}
}

// level renders the package that the Module wants and returns what it sets.
func (w *world) level(m *v1alpha1.Module) (string, error) {
	w.Helper()
	choice, err := w.shelf.Choose(w.Context(), m)
	if err != nil {
		return "", err
	}
	p, err := w.shelf.Fetch(w.Context(), m, choice.Version)
	if err != nil {
		return "", err
	}
	objects, err := p.Render(w.Context(), plan.Rendering{Module: m, Namespace: "runners", Name: m.Name})
	if err != nil {
		return "", err
	}
	data, _ := objects[0].Object["data"].(map[string]any)
	text, _ := data["level"].(string)
	return choice.Version + " " + text, nil
}

func TestPackagesOfAModule(t *testing.T) {
	w := newWorld(t)
	w.push("packages/runner", "1.4.2", "2020-01-01T00:00:00Z")
	w.push("packages/runner", "1.5.0", w.now.Add(-time.Hour).UTC().Format(time.RFC3339))
	w.make(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"values.yaml": "level: debug", "broken": "[a"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "mine", Annotations: map[string]string{supply.ModulesAnnotation: "other, runner"}}, StringData: map[string]string{"v": "level: secret"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "catalogue"}, Data: map[string]string{"catalogue.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: Catalogue\nmodules: {runner: {stable: 1.4.2}}"}},
	)
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.ModuleSpec)
		want   string
		err    string
	}{
		"Newest":  {reason: "the newest, with the package's own values", change: func(*v1alpha1.ModuleSpec) {}, want: "1.5.0 info"},
		"Range":   {reason: "the newest in the range", change: func(s *v1alpha1.ModuleSpec) { s.Version = "~1.4" }, want: "1.4.2 info"},
		"Nothing": {reason: "nothing in the range lasts", change: func(s *v1alpha1.ModuleSpec) { s.Version = ">=2" }, err: "the newest is 1.5.0"},
		"MinAge": {reason: "what is too young is known only when it is fetched", change: func(s *v1alpha1.ModuleSpec) {
			s.Upgrade = &v1alpha1.Upgrade{MinAge: &metav1.Duration{Duration: 24 * time.Hour}}
		}, want: "1.4.2 info"},
		"Catalogue": {reason: "the catalogue says", change: func(s *v1alpha1.ModuleSpec) {
			s.Catalogue = &v1alpha1.Catalogue{Channel: "stable", ConfigMap: &v1alpha1.ConfigMapReference{Name: "catalogue"}}
		}, want: "1.4.2 info"},
		"CatalogueGone": {reason: "a catalogue that isn't there", change: func(s *v1alpha1.ModuleSpec) {
			s.Catalogue = &v1alpha1.Catalogue{Channel: "stable", ConfigMap: &v1alpha1.ConfigMapReference{Name: "nowhere"}}
		}, err: "doesn't exist"},
		"ValuesFrom": {reason: "a later one wins", change: func(s *v1alpha1.ModuleSpec) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "settings"}, {Kind: "Secret", Name: "mine", Key: "v"}}
		}, want: "1.5.0 secret"},
		"Values": {reason: "and the Module's own over all", change: func(s *v1alpha1.ModuleSpec) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "settings"}}
			s.Values = values(t, map[string]any{"level": "warn"})
		}, want: "1.5.0 warn"},
		"Optional": {reason: "what may be missing", change: func(s *v1alpha1.ModuleSpec) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "Secret", Name: "nowhere", Optional: true}, {Kind: "ConfigMap", Name: "settings", Key: "nowhere", Optional: true}}
		}, want: "1.5.0 info"},
		"Missing": {reason: "what may not", change: func(s *v1alpha1.ModuleSpec) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "settings", Key: "nowhere"}}
		}, err: "has no key nowhere"},
		"NoTable": {reason: "text that is no values isn't quoted", change: func(s *v1alpha1.ModuleSpec) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "settings", Key: "broken"}}
		}, err: "it must be a table in YAML"},
		"Schema": {reason: "the package's schema", change: func(s *v1alpha1.ModuleSpec) { s.Values = values(t, map[string]any{"farbe": "warn"}) }, err: "farbe"},
		"Unsigned": {reason: "whose signature isn't there", change: func(s *v1alpha1.ModuleSpec) {
			s.Verify = &v1alpha1.Verification{KeysRef: &v1alpha1.SecretReference{Name: "keys"}}
		}, err: "can't be trusted"},
		"Builtin": {reason: "what runs in the agent", change: func(s *v1alpha1.ModuleSpec) {
			s.Source = v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: "delivery"}}
		}, err: "there is nothing to plan"},
	}
	w.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Annotations: map[string]string{supply.ModulesAnnotation: "*"}}, StringData: map[string]string{"cosign.pub": publicKey(t)}})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := w.module("packages/runner")
			c.change(&m.Spec)
			got, err := w.level(m)
			var unavailable *plan.Unavailable
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)), errors.As(err, &unavailable):
				t.Errorf("%s: %v, want %q", c.reason, err, c.err)
			case got != c.want:
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
			if name == "Unsigned" && !errors.Is(err, plan.ErrUntrusted) {
				t.Errorf("%s: it isn't told apart: %v", c.reason, err)
			}
		})
	}
	m := w.module("packages/runner")
	p, err := w.shelf.Fetch(t.Context(), m, "1.5.0")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]v1alpha1.ModuleDependency{{Module: "cert-manager", Version: ">=1.14"}}, p.Requires); diff != "" || p.Namespace != "runners" {
		t.Errorf("it requires, -want +got:\n%s\nand is for namespace %s", diff, p.Namespace)
	}
	before, err := w.shelf.Choose(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	m.Spec.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "settings"}}
	after, err := w.shelf.Choose(t.Context(), m)
	if err != nil || before.Inputs == after.Inputs {
		t.Errorf("other values are the same input: %s and %s, %v", before.Inputs, after.Inputs, err)
	}
	m.Spec.Source.OCI.URL = "oci://127.0.0.1:1/packages/runner"
	var unavailable *plan.Unavailable
	if _, err := w.shelf.Choose(t.Context(), m); !errors.As(err, &unavailable) {
		t.Errorf("a registry that doesn't answer gives %v, want to be asked again", err)
	}
}

// publicKey is the key of somebody who has signed nothing.
func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestSecretsAreForTheModulesThatTheyName: whoever may write a Module names somebody else's Secret, and a server of their own.
func TestSecretsAreForTheModulesThatTheyName(t *testing.T) {
	w := newWorld(t)
	w.push("private/runner", "1.0.0", "")
	login := map[string]string{"username": "admin", "password": "hunter2"}
	w.make(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "somebodys"}, StringData: login},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "others", Annotations: map[string]string{supply.ModulesAnnotation: "runner2, runners"}}, StringData: login},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "mine", Annotations: map[string]string{supply.ModulesAnnotation: "runner"}}, StringData: login},
	)
	attacks := map[string]func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference){
		"Source": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) { s.Source.OCI.SecretRef = secret },
		"Git": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.Source = v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: "http://" + w.host + "/x", SecretRef: secret}}
		},
		"Chart": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.Source = v1alpha1.PackageSource{Chart: &v1alpha1.ChartSource{Repository: "http://" + w.host, Name: "x", SecretRef: secret}}
		},
		"File": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.Source = v1alpha1.PackageSource{Manifests: &v1alpha1.ManifestsSource{URL: "http://" + w.host + "/x", SecretRef: secret}}
		},
		"Values": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "Secret", Name: secret.Name, Key: "username", Optional: true}}
		},
		"Channel": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.Catalogue = &v1alpha1.Catalogue{Channel: "c", OCI: &v1alpha1.OCISource{URL: "oci://" + w.host + "/x", SecretRef: secret}}
		},
		"Keys": func(s *v1alpha1.ModuleSpec, secret *v1alpha1.SecretReference) {
			s.Verify = &v1alpha1.Verification{KeysRef: secret}
		},
	}
	for name, attack := range attacks {
		for _, secret := range []string{"somebodys", "others"} {
			t.Run(name+"/"+secret, func(t *testing.T) {
				m := w.module("packages/runner")
				attack(&m.Spec, &v1alpha1.SecretReference{Name: secret})
				_, err := w.shelf.Choose(t.Context(), m)
				if name == "Keys" {
					_, err = w.shelf.Fetch(t.Context(), m, "1.0.0")
				}
				if err == nil || !strings.Contains(err.Error(), "isn't for module runner") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("it gives %v", err)
				}
			})
		}
	}
	if slices.ContainsFunc(w.logins, func(login string) bool { return login != w.ci }) {
		t.Errorf("logins were sent: %v", w.logins)
	}
	m := w.module("private/runner")
	m.Spec.Source.OCI.SecretRef = &v1alpha1.SecretReference{Name: "mine"}
	w.shelf.Asked = func(context.Context, *v1alpha1.Module) (string, error) { return "nobody asked who wrote it", nil }
	if _, err := w.level(m); err == nil || !strings.Contains(err.Error(), "nobody asked who wrote it") || slices.ContainsFunc(w.logins, func(login string) bool { return login != w.ci }) {
		t.Errorf("somebody has written the Module, nobody knows who: %v, and logins %v", err, w.logins)
	}
	w.shelf.Asked = nil
	if got, err := w.level(m); err != nil || got != "1.0.0 info" {
		t.Errorf("with its own Secret: %q, %v", got, err)
	}
}
