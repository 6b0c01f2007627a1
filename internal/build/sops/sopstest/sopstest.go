// Package sopstest encrypts files as sops does, for tests. interop/sops holds it against the reference implementation.
package sopstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"go.yaml.in/yaml/v3"
)

// Key is an age key.
type Key struct {
	// Identity is the private part, as in an *.agekey file.
	Identity string
	// Recipient is the public part.
	Recipient string
}

// NewKey makes a key.
func NewKey(t testing.TB) Key {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return Key{Identity: id.String(), Recipient: id.Recipient().String()}
}

const modified = "2026-01-02T03:04:05Z"

// file is one file that is being encrypted.
type file struct {
	t    testing.TB
	key  []byte
	rule *regexp.Regexp
	mac  hash.Hash
}

func newFile(t testing.TB, rule string) *file {
	t.Helper()
	f := &file{t: t, key: make([]byte, 32), mac: sha512.New()}
	_, _ = rand.Read(f.key)
	if rule != "" {
		f.rule = regexp.MustCompile(rule)
	}
	return f
}

// Manifests encrypts YAML for recipients: the values whose path has a key that matches rule, which goes into encrypted_regex. Without
// a rule all are.
func Manifests(t testing.TB, plain, rule string, to ...Key) string {
	t.Helper()
	f := newFile(t, rule)
	decoder := yaml.NewDecoder(strings.NewReader(plain))
	var docs []*yaml.Node
	for {
		doc := &yaml.Node{}
		if decoder.Decode(doc) != nil {
			break
		}
		f.node(doc.Content[0], nil)
		docs = append(docs, doc)
	}
	meta := &yaml.Node{}
	if err := meta.Encode(f.metadata(to)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for _, doc := range docs {
		doc.Content[0].Content = append(doc.Content[0].Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "sops"}, meta)
		if err := encoder.Encode(doc); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func (f *file) node(n *yaml.Node, path []string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			f.node(n.Content[i+1], append(path[:len(path):len(path)], n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			f.node(item, path)
		}
	case yaml.ScalarNode:
		kind := map[string]string{"!!int": "int", "!!bool": "bool", "!!float": "float"}[n.ShortTag()]
		text := n.Value
		if kind == "bool" {
			text = strings.ToUpper(text[:1]) + text[1:]
		}
		f.mac.Write([]byte(text))
		if f.encrypts(path) {
			n.SetString(f.seal(text, kind, strings.Join(path, ":")+":"))
		}
	}
}

func (f *file) encrypts(path []string) bool {
	if f.rule == nil {
		return true
	}
	for _, key := range path {
		if f.rule.MatchString(key) {
			return true
		}
	}
	return false
}

// Binary encrypts any text.
func Binary(t testing.TB, plain string, to ...Key) string {
	t.Helper()
	f := newFile(t, "")
	f.mac.Write([]byte(plain))
	out, err := json.MarshalIndent(map[string]any{"data": f.seal(plain, "", "data:"), "sops": f.metadata(to)}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Dotenv encrypts lines of the form NAME=value.
func Dotenv(t testing.TB, plain string, to ...Key) string {
	t.Helper()
	f := newFile(t, "")
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(plain), "\n") {
		name, value, _ := strings.Cut(line, "=")
		f.mac.Write([]byte(value))
		fmt.Fprintf(&out, "%s=%s\n", name, f.seal(value, "", name+":"))
	}
	meta := f.metadata(to)
	for i, r := range meta["age"].([]map[string]string) {
		for name, value := range r {
			fmt.Fprintf(&out, "sops_age__list_%d__map_%s=%s\n", i, name, strings.ReplaceAll(value, "\n", `\n`))
		}
	}
	for _, name := range []string{"lastmodified", "mac", "version"} {
		fmt.Fprintf(&out, "sops_%s=%s\n", name, meta[name])
	}
	return out.String()
}

func (f *file) seal(text, kind, additional string) string {
	f.t.Helper()
	if text == "" {
		return ""
	}
	if kind == "" {
		kind = "str"
	}
	block, err := aes.NewCipher(f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	iv := make([]byte, 32)
	_, _ = rand.Read(iv)
	gcm, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		f.t.Fatal(err)
	}
	sealed := gcm.Seal(nil, iv, []byte(text), []byte(additional))
	encode := base64.StdEncoding.EncodeToString
	at := len(sealed) - gcm.Overhead()
	return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:%s]", encode(sealed[:at]), encode(iv), encode(sealed[at:]), kind)
}

func (f *file) metadata(to []Key) map[string]any {
	f.t.Helper()
	recipients := make([]map[string]string, 0, len(to))
	for _, k := range to {
		recipients = append(recipients, map[string]string{"recipient": k.Recipient, "enc": f.wrap(k)})
	}
	meta := map[string]any{
		"age": recipients, "lastmodified": modified, "version": "3.13.3",
		"mac": f.seal(fmt.Sprintf("%X", f.mac.Sum(nil)), "", modified),
	}
	if f.rule != nil {
		meta["encrypted_regex"] = f.rule.String()
	}
	return meta
}

func (f *file) wrap(k Key) string {
	f.t.Helper()
	recipient, err := age.ParseX25519Recipient(k.Recipient)
	if err != nil {
		f.t.Fatal(err)
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = w.Write(f.key)
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	if err := armored.Close(); err != nil {
		f.t.Fatal(err)
	}
	return out.String()
}
