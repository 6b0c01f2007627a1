package sops_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/build/sops"
	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

const secret = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: a\nstringData:\n    password: hunter2\n"

func parse(t testing.TB, data map[string]string) *sops.Keys {
	t.Helper()
	raw := map[string][]byte{}
	for name, text := range data {
		raw[name] = []byte(text)
	}
	k, err := sops.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keysOf(t testing.TB, k sopstest.Key) *sops.Keys {
	t.Helper()
	return parse(t, map[string]string{"identity.agekey": "# created: today\n" + k.Identity + "\n"})
}

func TestDecrypt(t *testing.T) {
	key := sopstest.NewKey(t)
	for name, tc := range map[string]struct {
		reason  string
		in, out sops.Format
		content string
		want    string
		secrets []string
	}{
		"YAML":       {"values that a rule names", sops.YAML, sops.YAML, sopstest.Manifests(t, secret, "^stringData$", key), secret, []string{"hunter2"}},
		"AllOfIt":    {"names of a Kubernetes object are no secrets", sops.YAML, sops.YAML, sopstest.Manifests(t, secret, "", key), secret, []string{"hunter2"}},
		"Types":      {"are kept", sops.YAML, sops.YAML, sopstest.Manifests(t, "a: 1\nb: true\nc: 1.5\nd: \"1\"\n", "", key), "a: 1\nb: true\nc: 1.5\nd: \"1\"\n", []string{"1", "true", "1.5", "1"}},
		"Dotenv":     {"its metadata is flat", sops.Dotenv, sops.Dotenv, sopstest.Dotenv(t, "A=b=c\nD=e", key), "A=b=c\nD=e\n", []string{"b=c", "e"}},
		"Binary":     {"any content", sops.Binary, sops.Binary, sopstest.Binary(t, "\x01any\n", key), "\x01any\n", []string{"\x01any\n"}},
		"OtherForm":  {"an entry of a Secret may have another form", sops.YAML, sops.JSON, sopstest.Manifests(t, "a: b\n", "", key), "{\n\t\"a\": \"b\"\n}\n", []string{"b"}},
		"TwoReaders": {"each alone can read it", sops.YAML, sops.YAML, sopstest.Manifests(t, "a: b\n", "", sopstest.NewKey(t), key), "a: b\n", []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keysOf(t, key).Decrypt([]byte(tc.content), tc.in, tc.out)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, string(got.Content)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.secrets, got.Secrets); diff != "" {
				t.Errorf("%s: secrets (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRefusesWhatWasChanged(t *testing.T) {
	key := sopstest.NewKey(t)
	content := sopstest.Manifests(t, "open_unencrypted: before\na: one\nb: two\n", "^[ab]$", key)
	a, b := line(content, "a: "), line(content, "b: ")
	for name, tc := range map[string]struct {
		reason, content string
		isMAC           bool
	}{
		"Open":    {"what isn't encrypted is vouched for, too", strings.Replace(content, "before", "after", 1), true},
		"Dropped": {"a value that is gone", strings.Replace(content, a+"\n", "", 1), true},
		"Added":   {"a value that wasn't there", "more: x\n" + content, true},
		"Swapped": {"a value belongs to its place", strings.NewReplacer(a, "a"+b[1:], b, "b"+a[1:]).Replace(content), false},
		"Turned":  {"order counts", strings.Replace(content, a+"\n"+b, b+"\n"+a, 1), true},
		"NoMAC":   {"no MAC is a wrong one", strings.Replace(content, line(content, "    mac: "), "    mac: \"\"", 1), true},
		"Plain":   {"an encrypted value made plain", strings.Replace(content, a, "a: one", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.content == content {
				t.Fatal("the case changes nothing")
			}
			_, err := keysOf(t, key).Decrypt([]byte(tc.content), sops.YAML, sops.YAML)
			if err == nil || errors.Is(err, sops.ErrMAC) != tc.isMAC {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func line(text, prefix string) string {
	for l := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return "no such line"
}

func TestNamesTheKeyThatIsMissing(t *testing.T) {
	key, other := sopstest.NewKey(t), sopstest.NewKey(t)
	content := sopstest.Manifests(t, secret, "", key)
	for name, k := range map[string]*sops.Keys{"another": keysOf(t, other), "none": nil} {
		_, err := k.Decrypt([]byte(content), sops.YAML, sops.YAML)
		var missing *sops.MissingKeyError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), key.Recipient) {
			t.Errorf("%s: the error must name the recipient: %v", name, err)
		}
		if k != nil && !strings.Contains(err.Error(), other.Recipient) {
			t.Errorf("%s: the error must name the keys that are there: %v", name, err)
		}
	}
	kms := strings.NewReplacer("    age:\n", "    kms:\n", "recipient: "+key.Recipient, "arn: arn:aws:kms:eu-west-1:1:key/2").Replace(content)
	_, err := keysOf(t, key).Decrypt([]byte(kms), sops.YAML, sops.YAML)
	if err == nil || !strings.Contains(err.Error(), "AWS KMS arn:aws:kms:eu-west-1:1:key/2") || !strings.Contains(err.Error(), "aren't served") {
		t.Errorf("a key service is named, and that it isn't served: %v", err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	id := sopstest.NewKey(t).Identity
	for name, tc := range map[string]struct {
		reason, entry, text, says string
	}{
		"NoIdentity": {"something else", "identity.agekey", "hunter2", "line 1 is not an age identity"},
		"Cut":        {"a piece of a key", "identity.agekey", "\n" + id[:40], "line 2 is not a whole age identity"},
		"Plugin":     {"a program", "identity.agekey", "AGE-PLUGIN-YUBIKEY-1XYZ", "plugin"},
		"NoPGP":      {"something else", "sops.asc", "hunter2", "not an OpenPGP private key"},
		"Public":     {"the other half", "sops.asc", armored(t, entity(t), false), "not an OpenPGP private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sops.ParseKeys(map[string][]byte{tc.entry: []byte(tc.text)})
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), tc.entry) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), id[:20]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
	if _, err := sops.ParseKeys(map[string][]byte{"sops.vault-token": []byte("x"), "README": nil}); err != nil {
		t.Errorf("entries of other kinds are left alone: %v", err)
	}
}

func TestParseKeys(t *testing.T) {
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	a, b := sopstest.NewKey(t), sopstest.NewKey(t)
	one, two := entity(t), entity(t)
	k := parse(t, map[string]string{
		"identity.agekey": a.Identity + "\n" + b.Identity + "\n", "pq.agekey": pq.String(), "all.asc": armored(t, one, true) + "\n" + armored(t, two, true),
	})
	if got := len(k.Names()); got != 5 {
		t.Errorf("got %d keys, want 5: %v", got, k.Names())
	}
}

func entity(t *testing.T) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("test", "", "test@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func armored(t *testing.T, e *openpgp.Entity, private bool) string {
	t.Helper()
	var out bytes.Buffer
	kind := openpgp.PublicKeyType
	if private {
		kind = openpgp.PrivateKeyType
	}
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if private {
		err = e.SerializePrivate(w, nil)
	} else {
		err = e.Serialize(w)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestDecryptManifests(t *testing.T) {
	key := sopstest.NewKey(t)
	plain := "kind: ConfigMap\nvalue: &x 1.0 # stays\nsame: *x\n"
	one, two := sopstest.Manifests(t, secret, "^stringData$", key), sopstest.Manifests(t, strings.Replace(secret, "hunter2", "second", 1), "^stringData$", key)
	t.Run("Together", func(t *testing.T) {
		got, err := keysOf(t, key).DecryptManifests([]byte(one+"---\n"+plain+"---\n"+two), sops.YAML)
		if err != nil {
			t.Fatal(err)
		}
		want := secret + "---\n" + plain + "---\n" + strings.Replace(secret, "hunter2", "second", 1)
		if diff := cmp.Diff(want, string(got.Content)); diff != "" {
			t.Errorf("files that were put together, and what isn't encrypted stays as it is (-want +got):\n%s", diff)
		}
	})
	t.Run("Several", func(t *testing.T) {
		both := secret + "---\n" + secret
		got, err := keysOf(t, key).DecryptManifests([]byte(sopstest.Manifests(t, both, "^stringData$", key)), sops.YAML)
		if err != nil || string(got.Content) != both {
			t.Errorf("a file of several documents has one MAC: %v", err)
		}
	})
	t.Run("Disabled", func(t *testing.T) {
		off := strings.Replace(secret, "    name: a\n", "    name: a\n    annotations:\n        kustomize.toolkit.fluxcd.io/decrypt: disabled\n", 1)
		got, err := keysOf(t, key).DecryptManifests([]byte(sopstest.Manifests(t, off, "^stringData$", key)), sops.YAML)
		if err != nil || got != nil {
			t.Errorf("an object can ask to be left encrypted: %v, %v", got, err)
		}
	})
	t.Run("Plain", func(t *testing.T) {
		for _, content := range []string{plain, "about sops: x\n", "{", ""} {
			if got, err := keysOf(t, key).DecryptManifests([]byte(content), sops.YAML); err != nil || got != nil {
				t.Errorf("%q isn't encrypted: %v, %v", content, got, err)
			}
		}
	})
	t.Run("Alias", func(t *testing.T) {
		_, err := keysOf(t, key).DecryptManifests([]byte("a: &x 1\nb: *x\n"+one), sops.YAML)
		if err == nil || !strings.Contains(err.Error(), "alias") {
			t.Errorf("sops writes no aliases: %v", err)
		}
	})
}
