package build

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/build/sops"
	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

const (
	planted      = "correct-horse-battery"
	secretFile   = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: " + planted + "\n"
	secretFields = "^(data|stringData)$"
)

func decrypting() kustomizev1.KustomizationSpec {
	return kustomizev1.KustomizationSpec{Decryption: &kustomizev1.Decryption{Provider: "sops", SecretRef: &meta.LocalObjectReference{Name: "keys"}}}
}

func keyring(t *testing.T, keys ...sopstest.Key) *sops.Keys {
	t.Helper()
	data := map[string][]byte{}
	for i, k := range keys {
		data[string(rune('a'+i))+".agekey"] = []byte(k.Identity)
	}
	k, err := sops.ParseKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// valueOf finds a value of a Secret or ConfigMap, decoded.
func valueOf(t *testing.T, objects []*unstructured.Unstructured, kind, key string) string {
	t.Helper()
	for _, obj := range objects {
		if obj.GetKind() != kind {
			continue
		}
		if text, ok, _ := unstructured.NestedString(obj.Object, "stringData", key); ok {
			return text
		}
		text, _, _ := unstructured.NestedString(obj.Object, "data", key)
		if plain, err := base64.StdEncoding.DecodeString(text); err == nil && kind == "Secret" {
			return string(plain)
		}
		return text
	}
	return "no such object"
}

func TestBuildDecrypts(t *testing.T) {
	key := sopstest.NewKey(t)
	secret := sopstest.Manifests(t, secretFile, secretFields, key)
	for name, tc := range map[string]struct {
		reason    string
		files     map[string]string
		kind, key string
		want      string
	}{
		"Resource": {
			reason: "a manifest beside others", files: map[string]string{"a.yaml": secret, "b.yaml": configMap("b")},
			kind: "Secret", key: "password", want: planted,
		},
		"Overlays": {
			reason: "overlays change what was decrypted; the MAC was verified before",
			files: map[string]string{
				"kustomization.yaml": "namePrefix: x-\nnamespace: shop\ncommonAnnotations: {a: b}\nresources: [base]\n" +
					"patches:\n- patch: |-\n    {apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {more: text}}\n",
				"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": secret,
			},
			kind: "Secret", key: "password", want: planted,
		},
		"JSON": {
			reason: "a manifest in JSON",
			files:  map[string]string{"kustomization.yaml": "resources: [a.json]\n", "a.json": manifestJSON(t, key)},
			kind:   "Secret", key: "password", want: planted,
		},
		"Patch": {
			reason: "an encrypted patch",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches: [{path: patch.yaml}]\n", "a.yaml": strings.Replace(secretFile, planted, "other", 1), "patch.yaml": secret,
			},
			kind: "Secret", key: "password", want: planted,
		},
		"Component": {
			reason: "a manifest of a component",
			files: map[string]string{
				"kustomization.yaml": "components: [part]\n", "part/a.yaml": secret,
				"part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [a.yaml]\n",
			},
			kind: "Secret", key: "password", want: planted,
		},
		"GeneratorFile": {
			reason: "the name of the entry tells the format: binary",
			files:  map[string]string{"kustomization.yaml": "secretGenerator: [{name: a, files: [token=t.enc]}]\n", "t.enc": sopstest.Binary(t, planted, key)},
			kind:   "Secret", key: "token", want: planted,
		},
		"GeneratorYAML": {
			reason: "the name of the entry tells the format: YAML",
			files: map[string]string{
				"kustomization.yaml": "secretGenerator: [{name: a, files: [values.yaml=v.enc]}]\n", "v.enc": sopstest.Manifests(t, "a: "+planted+"\n", "", key),
			},
			kind: "Secret", key: "values.yaml", want: "a: " + planted + "\n",
		},
		"GeneratorEnv": {
			reason: "an env file is dotenv",
			files:  map[string]string{"kustomization.yaml": "secretGenerator: [{name: a, envs: [secrets]}]\n", "secrets": sopstest.Dotenv(t, "A="+planted, key)},
			kind:   "Secret", key: "A", want: planted,
		},
		"Entry": {
			reason: "an entry of a Secret that is an encrypted file",
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  token: " +
				base64.StdEncoding.EncodeToString([]byte(sopstest.Binary(t, planted, key))) + "\n"},
			kind: "Secret", key: "token", want: planted,
		},
		"TextEntry": {
			reason: "the same in stringData",
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  t.yaml: |\n    " +
				strings.ReplaceAll(sopstest.Manifests(t, "a: "+planted+"\n", "", key), "\n", "\n    ") + "\n"},
			kind: "Secret", key: "t.yaml", want: "a: " + planted + "\n",
		},
		"ConfigMap": {
			reason: "what goes into a ConfigMap stays encrypted, as with Flux: nobody asked that it be laid open",
			files:  map[string]string{"kustomization.yaml": "configMapGenerator: [{name: a, files: [token=t.txt]}]\n", "t.txt": "x\"mac\": \"ENC[x"},
			kind:   "ConfigMap", key: "token", want: "x\"mac\": \"ENC[x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := New().Build(context.Background(), Input{Tree: tree(tc.files), Spec: decrypting(), Keys: keyring(t, key)})
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if value := valueOf(t, got.Objects, tc.kind, tc.key); value != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, value, tc.want)
			}
			for _, obj := range got.Objects {
				if _, left := obj.Object["sops"]; left {
					t.Errorf("%s: metadata of sops is left in %s", tc.reason, obj.GetName())
				}
			}
			if strings.Contains(tc.want, planted) && strings.Contains(got.Decrypted.Hide("it is "+planted), planted) {
				t.Errorf("%s: the value isn't masked", tc.reason)
			}
		})
	}
}

// manifestJSON is the same file in JSON.
func manifestJSON(t *testing.T, key sopstest.Key) string {
	t.Helper()
	var out bytes.Buffer
	text, err := yaml.YAMLToJSON([]byte(sopstest.Manifests(t, secretFile, secretFields, key)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBuildRefusesToDecrypt(t *testing.T) {
	key, other := sopstest.NewKey(t), sopstest.NewKey(t)
	secret := sopstest.Manifests(t, secretFile, secretFields, key)
	for name, tc := range map[string]struct {
		reason string
		files  map[string]string
		spec   kustomizev1.KustomizationSpec
		keys   *sops.Keys
		want   failure
		says   []string
	}{
		"NoKey": {
			reason: "which key is missing, and where to put it", files: map[string]string{"a.yaml": secret}, spec: decrypting(), keys: keyring(t, other),
			want: failure{Reason: ReasonDecryptionFailed, File: "a.yaml"}, says: []string{key.Recipient, other.Recipient, "Secret keys"},
		},
		"NoSecretRef": {
			reason: "no key is named at all", files: map[string]string{"a.yaml": secret},
			spec: kustomizev1.KustomizationSpec{Decryption: &kustomizev1.Decryption{Provider: "sops"}},
			want: failure{Reason: ReasonDecryptionFailed, File: "a.yaml"}, says: []string{key.Recipient, "spec.decryption.secretRef"},
		},
		"NotAsked": {
			reason: "decryption isn't asked for", files: map[string]string{"a.yaml": secret}, keys: keyring(t, key),
			want: failure{Reason: ReasonDecryptionFailed, Object: "Secret/a"}, says: []string{"spec.decryption"},
		},
		"Changed": {
			reason: "the file was edited by hand", files: map[string]string{"a.yaml": strings.Replace(secret, "name: a", "name: b", 1)}, spec: decrypting(), keys: keyring(t, key),
			want: failure{Reason: ReasonDecryptionFailed, File: "a.yaml"}, says: []string{"MAC", "sops edit"},
		},
		"Generator": {
			reason: "the file of a generator",
			files:  map[string]string{"kustomization.yaml": "secretGenerator: [{name: a, files: [t]}]\n", "t": sopstest.Binary(t, planted, key)},
			spec:   decrypting(), keys: keyring(t, other),
			want: failure{Reason: ReasonDecryptionFailed, File: "t"}, says: []string{key.Recipient},
		},
		"Entry": {
			reason: "the entry of a Secret",
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  token: " +
				base64.StdEncoding.EncodeToString([]byte(sopstest.Binary(t, planted, key))) + "\n"},
			spec: decrypting(), keys: keyring(t, other),
			want: failure{Reason: ReasonDecryptionFailed, Object: "Secret/a"}, says: []string{key.Recipient, "token"},
		},
		"Quoted": {
			reason: "Kustomize quotes what it can't merge",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: test, path: /stringData/password, value: other}\n", "a.yaml": secret,
			},
			spec: decrypting(), keys: keyring(t, key),
			want: failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
		},
		"Broken": {
			reason: "what was decrypted is no manifest",
			files:  map[string]string{"a.yaml": sopstest.Manifests(t, "apiVersion: v1\nkind: Secret\nstringData: {a: "+planted+"}\n", "", key)},
			spec:   decrypting(), keys: keyring(t, key),
			want: failure{Reason: ReasonBuildFailed, File: "a.yaml"}, says: []string{"metadata.name"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New().Build(context.Background(), Input{Tree: tree(tc.files), Spec: tc.spec, Keys: tc.keys})
			if err == nil {
				t.Fatalf("%s: got no error", tc.reason)
			}
			got, text := failureOf(t, err)
			if got != tc.want {
				t.Errorf("%s: got %+v, want %+v: %s", tc.reason, got, tc.want, text)
			}
			for _, s := range tc.says {
				if !strings.Contains(text, s) {
					t.Errorf("%s: %q does not say %q", tc.reason, text, s)
				}
			}
			for e := err; e != nil; {
				if strings.Contains(e.Error(), planted) {
					t.Errorf("%s: a secret shows in %q", tc.reason, e)
				}
				u, ok := e.(interface{ Unwrap() error })
				if !ok {
					break
				}
				e = u.Unwrap()
			}
		})
	}
}

func TestObjectsOfOtherDecryptorsPass(t *testing.T) {
	files := map[string]string{"a.yaml": "apiVersion: example.com/v1\nkind: SopsSecret\nmetadata: {name: a}\nspec: {x: 'ENC[x]'}\nsops: {mac: 'ENC[x]'}\n"}
	got, err := New().Build(context.Background(), Input{Tree: tree(files)})
	if err != nil || len(got.Objects) != 1 || got.Objects[0].Object["sops"] == nil {
		t.Errorf("an object that a controller in the cluster decrypts is none of our business: %v", err)
	}
}

func TestReadsRecordEncryptedFiles(t *testing.T) {
	key := sopstest.NewKey(t)
	files := map[string]string{"kustomization.yaml": "resources: [a.yaml]\nsecretGenerator: [{name: g, files: [t]}]\n", "a.yaml": sopstest.Manifests(t, secretFile, secretFields, key), "t": sopstest.Binary(t, planted, key)}
	in := Input{Tree: tree(files), Spec: decrypting(), Keys: keyring(t, key)}
	got, err := New().Build(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Reads.Same(tree(files)) {
		t.Error("nothing has changed")
	}
	for _, name := range []string{"a.yaml", "t"} {
		changed := map[string]string{}
		for n, c := range files {
			changed[n] = c
		}
		changed[name] += "\n"
		if got.Reads.Same(tree(changed)) {
			t.Errorf("%s was read, and has changed", name)
		}
	}
}
