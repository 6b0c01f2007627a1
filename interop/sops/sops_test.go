// Package sops_test compares internal/build/sops with the reference implementation: what that encrypts, ours decrypts to the same bytes.
package sops_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	reference "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	refage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/pgp"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/build/sops"
	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

var refFormats = map[sops.Format]formats.Format{
	sops.YAML: formats.Yaml, sops.JSON: formats.Json, sops.Dotenv: formats.Dotenv, sops.INI: formats.Ini, sops.Binary: formats.Binary,
}

func storeOf(f sops.Format) common.Store {
	return common.StoreForFormat(refFormats[f], config.NewStoresConfig())
}

// party is a holder of an age key.
type party struct {
	secret, recipient string
}

func newParty(t testing.TB) party {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return party{id.String(), id.Recipient().String()}
}

func (p party) master(t testing.TB) keys.MasterKey {
	t.Helper()
	k, err := refage.MasterKeyFromRecipient(p.recipient)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (p party) keys(t testing.TB) *sops.Keys {
	return keysOf(t, map[string]string{"identity.agekey": p.secret})
}

func keysOf(t testing.TB, data map[string]string) *sops.Keys {
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

// encrypt has the reference implementation encrypt plain.
func encrypt(t testing.TB, f sops.Format, plain string, meta reference.Metadata) []byte {
	t.Helper()
	store := storeOf(f)
	branches, err := store.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatalf("load %s: %v\n%s", f, err, plain)
	}
	meta.Version = "3.13.3"
	tree := reference.Tree{Branches: branches, Metadata: meta}
	key, errs := tree.GenerateDataKey()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tree.Metadata.ShamirThreshold = meta.ShamirThreshold
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: &tree, Cipher: aes.NewCipher(), DataKey: key}); err != nil {
		t.Fatalf("encrypt %s: %v\n%s", f, err, plain)
	}
	out, err := store.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refDecrypt has the reference implementation decrypt.
func refDecrypt(t testing.TB, f, out sops.Format, content []byte) []byte {
	t.Helper()
	tree, err := storeOf(f).LoadEncryptedFile(content)
	if err != nil {
		t.Fatal(err)
	}
	services := []keyservice.KeyServiceClient{keyservice.NewLocalClient()}
	if _, err := common.DecryptTree(common.DecryptTreeOpts{Tree: &tree, Cipher: aes.NewCipher(), KeyServices: services}); err != nil {
		t.Fatal(err)
	}
	text, err := storeOf(out).EmitPlainFile(tree.Branches)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestReadsWhatTheReferenceWrites(t *testing.T) {
	p := newParty(t)
	t.Setenv("SOPS_AGE_KEY", p.secret)
	group := []reference.KeyGroup{{p.master(t)}}
	for name, tc := range map[string]struct {
		reason string
		format sops.Format
		out    sops.Format
		plain  string
		meta   reference.Metadata
	}{
		"yaml": {
			reason: "every type, nested, with comments",
			format: sops.YAML,
			plain: "# above\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a # beside\nnumber: 42\nfloat: 1.5\nbig: 1e30\nyes: true\nno: false\n" +
				"null_value: null\nempty: \"\"\nmulti: |\n  one\n  two\nat: 2026-01-02T03:04:05Z\nlist:\n# in the list\n- a\n- 1\n- - nested\n- k: v\nquoted: \"012\"\nflow: {a: [1, 2]}\nempties: {}\nnone: []\n# below\n",
		},
		"yaml of several documents": {reason: "one MAC over all", format: sops.YAML, plain: "a: 1\n---\nb: 2\n---\nc: [x]\n"},
		"encrypted_regex": {
			reason: "the usual rule for Kubernetes", format: sops.YAML, meta: reference.Metadata{EncryptedRegex: "^(data|stringData)$"},
			plain: "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  x: aGVsbG8=\nstringData:\n  y: text\n",
		},
		"unencrypted_regex":    {reason: "the reverse", format: sops.YAML, meta: reference.Metadata{UnencryptedRegex: "^pub"}, plain: "public: 1\nsecret: 2\npub:\n  a: b\n"},
		"unencrypted_suffix":   {reason: "the default's name", format: sops.YAML, meta: reference.Metadata{UnencryptedSuffix: "_unencrypted"}, plain: "a_unencrypted: 1\nb: 2\n"},
		"encrypted_suffix":     {reason: "the reverse", format: sops.YAML, meta: reference.Metadata{EncryptedSuffix: "_enc"}, plain: "a_enc: 1\nb: 2\nc_enc:\n  d: e\n"},
		"mac_only_encrypted":   {reason: "another start of the hash", format: sops.YAML, meta: reference.Metadata{MACOnlyEncrypted: true, EncryptedRegex: "^data$"}, plain: "data:\n  a: b\nother: c\n"},
		"encrypted comments":   {reason: "what follows a comment is encrypted", format: sops.YAML, meta: reference.Metadata{EncryptedCommentRegex: "^ *secret"}, plain: "a: 1\n# secret\nb: 2\nc:\n  # secret\n  # more\n  d: e\n  f: g\nl:\n- a\n# secret\n- b\n"},
		"unencrypted comments": {reason: "the reverse", format: sops.YAML, meta: reference.Metadata{UnencryptedCommentRegex: "^ *public"}, plain: "a: 1\n# public\nb: 2\nc:\n  # public\n  d: e\n"},
		"json":                 {reason: "numbers, nesting, escapes", format: sops.JSON, plain: `{"a":1,"b":1.5,"c":[true,null,{"d":"<&>"}],"e":"\u00fc\ud83d\ude00","f":"","g":9007199254740993,"h":{},"i":[]}`},
		"json as yaml":         {reason: "a Secret's value may change its form", format: sops.JSON, out: sops.YAML, plain: `{"a":1,"b":["x",{"c":"d"}]}`},
		"yaml as json":         {reason: "the reverse", format: sops.YAML, out: sops.JSON, plain: "# c\na: 1\nb:\n# d\n- x\n- c: 1.25\n"},
		"dotenv":               {reason: "comments and line ends", format: sops.Dotenv, plain: "# comment\nA=b\nURL=https://x/?a=b\nMULTI=one\\ntwo\nEMPTY=\n"},
		"dotenv as yaml":       {reason: "all text", format: sops.Dotenv, out: sops.YAML, plain: "A=1\nB=true\n"},
		"ini":                  {reason: "sections and comments", format: sops.INI, plain: "; top\n[one]\n; about a\na = b\nport = 80\n\n[two]\nc = \"quoted text\"\nd = `x=y`\n"},
		"binary":               {reason: "any text", format: sops.Binary, plain: "\x00any\nthing \"quoted\"\n"},
		"yaml as dotenv":       {reason: "types become text", format: sops.YAML, out: sops.Dotenv, plain: "A: 1\nB: true\nC: 1.5\nD: 2.0\nE: |\n  x\n  y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			meta := tc.meta
			meta.KeyGroups = group
			out := tc.out
			if out == "" {
				out = tc.format
			}
			compare(t, p.keys(t), tc.format, out, encrypt(t, tc.format, tc.plain, meta), tc.reason)
		})
	}
}

func compare(t testing.TB, k *sops.Keys, in, out sops.Format, content []byte, reason string) {
	t.Helper()
	want := refDecrypt(t, in, out, content)
	got, err := k.Decrypt(content, in, out)
	if err != nil {
		t.Fatalf("%s: %v\n%s", reason, err, content)
	}
	if diff := cmp.Diff(string(want), string(got.Content)); diff != "" {
		t.Errorf("%s: the reference writes something else (-reference +ours):\n%s\nfrom:\n%s", reason, diff, content)
	}
}

func TestReadsRandomFiles(t *testing.T) {
	p := newParty(t)
	t.Setenv("SOPS_AGE_KEY", p.secret)
	k := p.keys(t)
	rules := []reference.Metadata{{}, {EncryptedRegex: "^[a-m]"}, {UnencryptedRegex: "[aeiou]"}, {MACOnlyEncrypted: true, EncryptedRegex: "^[n-z]"}, {UnencryptedSuffix: "e"}, {EncryptedSuffix: "e"}}
	for seed := range uint64(300) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		for _, f := range []sops.Format{sops.YAML, sops.JSON, sops.Dotenv, sops.INI, sops.Binary} {
			meta := rules[seed%uint64(len(rules))]
			meta.KeyGroups = []reference.KeyGroup{{p.master(t)}}
			plain := g.file(f)
			if _, err := storeOf(f).LoadPlainFile([]byte(plain)); err != nil {
				continue // the YAML library can't read all that it writes
			}
			compare(t, k, f, f, encrypt(t, f, plain, meta), fmt.Sprintf("%s, seed %d", f, seed))
			if t.Failed() {
				return
			}
		}
	}
}

func TestShamir(t *testing.T) {
	a, b, c := newParty(t), newParty(t), newParty(t)
	meta := reference.Metadata{ShamirThreshold: 2, KeyGroups: []reference.KeyGroup{{a.master(t)}, {b.master(t)}, {c.master(t)}}}
	content := encrypt(t, sops.YAML, "secret: value\n", meta)
	all := []party{a, b, c}
	for i := range all {
		for j := range i {
			k := keysOf(t, map[string]string{"one.agekey": all[i].secret, "two.agekey": all[j].secret})
			plain, err := k.Decrypt(content, sops.YAML, sops.YAML)
			if err != nil || string(plain.Content) != "secret: value\n" {
				t.Errorf("groups %d and %d: %v", i, j, err)
			}
		}
		if _, err := all[i].keys(t).Decrypt(content, sops.YAML, sops.YAML); err == nil || !strings.Contains(err.Error(), "1 more of these groups") {
			t.Errorf("one group of two that are needed must not do, and the error must say so: %v", err)
		}
	}
}

func TestPGP(t *testing.T) {
	entity, err := openpgp.NewEntity("test", "", "test@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := fmt.Sprintf("%X", entity.PrimaryKey.Fingerprint)
	p := newParty(t)
	store := storeOf(sops.YAML)
	branches, err := store.LoadPlainFile([]byte("secret: value\n"))
	if err != nil {
		t.Fatal(err)
	}
	tree := reference.Tree{Branches: branches, Metadata: reference.Metadata{Version: "3.13.3", KeyGroups: []reference.KeyGroup{{p.master(t)}}}}
	key, errs := tree.GenerateDataKey()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tree.Metadata.KeyGroups = []reference.KeyGroup{{&pgp.MasterKey{Fingerprint: fingerprint, EncryptedKey: pgpEncrypt(t, entity, key)}}}
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: &tree, Cipher: aes.NewCipher(), DataKey: key}); err != nil {
		t.Fatal(err)
	}
	content, err := store.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	var secret bytes.Buffer
	w, err := armor.Encode(&secret, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := entity.SerializePrivate(w, nil); err != nil {
		t.Fatal(err)
	}
	w.Close()
	plain, err := keysOf(t, map[string]string{"sops.asc": secret.String()}).Decrypt(content, sops.YAML, sops.YAML)
	if err != nil || string(plain.Content) != "secret: value\n" {
		t.Errorf("%v", err)
	}
	if _, err := p.keys(t).Decrypt(content, sops.YAML, sops.YAML); err == nil || !strings.Contains(err.Error(), fingerprint) {
		t.Errorf("the error must name the fingerprint that is needed: %v", err)
	}
}

func pgpEncrypt(t *testing.T, to *openpgp.Entity, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	armored, err := armor.Encode(&out, "PGP MESSAGE", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := openpgp.Encrypt(armored, openpgp.EntityList{to}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	w.Close()
	armored.Close()
	return out.String()
}

func TestPostQuantum(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	p := party{id.String(), id.Recipient().String()}
	content := encrypt(t, sops.YAML, "secret: value\n", reference.Metadata{KeyGroups: []reference.KeyGroup{{p.master(t)}}})
	plain, err := p.keys(t).Decrypt(content, sops.YAML, sops.YAML)
	if err != nil || string(plain.Content) != "secret: value\n" {
		t.Errorf("%v", err)
	}
}

// TestFixtures holds what the tests of the product encrypt against the reference.
func TestFixtures(t *testing.T) {
	key := sopstest.NewKey(t)
	t.Setenv("SOPS_AGE_KEY", key.Identity)
	k := keysOf(t, map[string]string{"identity.agekey": key.Identity})
	manifests := "apiVersion: v1\nkind: Secret\nmetadata:\n    name: a\ncount: 1\nok: true\nstringData:\n    a: b\n    empty: \"\"\n"
	for name, tc := range map[string]struct {
		format  sops.Format
		content string
	}{
		"manifests": {sops.YAML, sopstest.Manifests(t, manifests, "^(data|stringData)$", key)},
		"all":       {sops.YAML, sopstest.Manifests(t, manifests, "", key)},
		"dotenv":    {sops.Dotenv, sopstest.Dotenv(t, "A=b\nC=d e", key)},
		"binary":    {sops.Binary, sopstest.Binary(t, "any\ntext", key)},
	} {
		t.Run(name, func(t *testing.T) { compare(t, k, tc.format, tc.format, []byte(tc.content), "the same bytes") })
	}
}
