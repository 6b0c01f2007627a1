package sops_test

import (
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/build/sops"
	"github.com/slipway-dev/slipway/internal/build/sops/sopstest"
)

// FuzzDecrypt feeds strangers' files in every format. Nothing may panic or be let through, and no error may quote a value.
func FuzzDecrypt(f *testing.F) {
	// Made for this test. It must be the same in the fuzzer's worker processes, or nothing that was planted can be decrypted there.
	key := sopstest.Key{
		Identity:  "AGE-SECRET-KEY-1CJWA366AFMLV5EN5RRU2RQTSNEJU4MH37UJ2LTDJL2LPUL2XW7GQ8MPF9K",
		Recipient: "age1943hv0s2y08ty4vzaky7td8xw9cenhamml05t8wqy5qaqv6ggq9qumk2nv",
	}
	k := keysOf(f, key)
	const planted = "correct-horse-battery"
	manifest := sopstest.Manifests(f, "a: "+planted+"\nb: [1, {c: d}]\n", "", key)
	f.Add([]byte(manifest), 0)
	f.Add([]byte(sopstest.Dotenv(f, "A="+planted, key)), 2)
	f.Add([]byte(sopstest.Binary(f, planted, key)), 1)
	f.Add([]byte("[a]\nb = c\n[sops]\nage__list_0__map_enc = x\nmac = ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]\nlastmodified = 2026-01-02T03:04:05Z\n"), 3)
	f.Add([]byte("sops: {mac: ENC[x], key_groups: [{age: [{recipient: x, enc: y}]}, {pgp: [{fp: z, enc: y}]}], shamir_threshold: 2, lastmodified: 2026-01-02T03:04:05Z}\n"), 0)
	f.Add([]byte("a: &a [*a]\nsops: {mac: 'ENC['}\n"), 0)
	formats := []sops.Format{sops.YAML, sops.JSON, sops.Dotenv, sops.INI, sops.Binary}
	f.Fuzz(func(t *testing.T, content []byte, n int) {
		format := formats[((n%len(formats))+len(formats))%len(formats)]
		for _, out := range formats {
			_, err := k.Decrypt(content, format, out)
			if err != nil && strings.Contains(err.Error(), planted) {
				t.Errorf("a value shows in %q", err)
			}
		}
		if plain, err := k.DecryptManifests(content, format); err == nil && plain != nil && len(plain.Secrets) == 0 && plain.Content == nil {
			t.Error("something was decrypted to nothing")
		}
	})
}

// FuzzParseKeys reads the entries of a Secret that somebody wrote: no panic, and no error quotes a key.
func FuzzParseKeys(f *testing.F) {
	const planted = "AGE-SECRET-KEY-1CJWA366AFMLV5EN5RRU2RQTSNEJU4MH37UJ2LTDJL2LPUL2XW7GQ8MPF9K"
	for _, seed := range []string{planted, "# comment\n\n" + planted + "\n", planted[:70], "AGE-SECRET-KEY-PQ-1QQ", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----\n", "\x99\x00\x0c", ""} {
		f.Add("a.agekey", []byte(seed))
		f.Add("a.asc", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		_, err := sops.ParseKeys(map[string][]byte{name: content})
		if err == nil || len(content) < 20 {
			return
		}
		for line := range strings.SplitSeq(string(content), "\n") {
			if len(line) > 20 && strings.Contains(err.Error(), line) && !strings.Contains(name, line) {
				t.Errorf("a key shows in %q", err)
			}
		}
	})
}
