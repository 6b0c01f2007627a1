package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJHVTcKbCfhrGDIMMwfdRzcHvHRk2QAKHXRKi3bVHTl7\n"), "example.com:22")
	f.Add([]byte("@revoked |1|a|b,!*.x ssh-rsa AAAA"), "[::1]:22")
	f.Add([]byte("#\n\n\x00"), "")
	key := hostKey(f)
	f.Fuzz(func(t *testing.T, data []byte, address string) {
		k, err := parseKnownHosts(data)
		if err != nil {
			return
		}
		if err := k.check(address, key); err == nil && !bytes.Contains(data, []byte("ssh-ed25519")) {
			t.Error("a key that isn't in the file is trusted")
		}
		k.algorithms(address)
	})
}

func FuzzAuthFromSecret(f *testing.F) {
	f.Add("https://example.com/a", "username", []byte("ada"), "password", []byte("hunter2-hunter2"))
	f.Add("ssh://git@example.com/a", "identity", []byte("-----BEGIN OPENSSH PRIVATE KEY-----"), "known_hosts", []byte("x"))
	f.Add("https://example.com/a", "tls.crt", []byte("x"), "tls.key", []byte("y"))
	f.Fuzz(func(t *testing.T, url, key1 string, value1 []byte, key2 string, value2 []byte) {
		_, err := AuthFromSecret(map[string][]byte{key1: value1, key2: value2}, url)
		if err == nil {
			return
		}
		var typed *Error
		if !errors.As(err, &typed) {
			t.Errorf("an error without a reason: %v", err)
		}
		for _, v := range [][]byte{value1, value2} {
			// Long enough not to be a part of the text or the URL by chance.
			if len(v) > 12 && !strings.Contains(url, string(v)) && !strings.Contains(secretAdvice, string(v)) && strings.Contains(err.Error(), string(v)) {
				t.Errorf("the error tells a value: %v", err)
			}
		}
	})
}

const secretAdvice = "bearerToken known_hosts githubAppID username + password"

func FuzzURL(f *testing.F) {
	for _, u := range []string{"https://ada:hunter2hunter2@example.com/a", "ssh://git:pw@h:22/a", "file:///a/../b", "git@h:a", "https://h/%41?x#y", "http://[::1]:80/a"} {
		f.Add(u, "hunter2hunter2")
	}
	f.Fuzz(func(t *testing.T, raw, password string) {
		r, err := parseURL(raw, true)
		if err != nil {
			var typed *Error
			if !errors.As(err, &typed) || !typed.Permanent() {
				t.Errorf("not a permanent error: %v", err)
			}
			return
		}
		shown := r.String()
		if r.password != "" && len(r.password) > 8 && !strings.Contains(r.host+r.path+r.user, r.password) && strings.Contains(shown, r.password) {
			t.Errorf("%q is shown as %q", raw, shown)
		}
		if again, err := parseURL(r.endpoint(), true); err != nil || (r.scheme != "ssh" && again.key() != r.key()) {
			t.Errorf("%q: the endpoint %q isn't the same: %v", raw, r.endpoint(), err)
		}
		r.address("22")
	})
}

func FuzzIgnoreRules(f *testing.F) {
	f.Add([]byte("/*\n!/deploy\n**/x\n[a-"), "deploy/a.yaml")
	f.Add([]byte("a/**/b\n\\!x\n \n#"), "a/b")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		r := &ignoreRules{}
		if r.add(text, []string{"sub"}, "test") != nil || r.add(text, nil, "test") != nil {
			return
		}
		m := r.matcher()
		m.Match(strings.Split(name, "/"), false)
		if !m.Match([]string{".git", "config"}, false) && !bytes.Contains(text, []byte("!")) {
			t.Error(".git passes")
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("a/b", "../x", "a/b/c")
	f.Add("l", "/etc/passwd", "l")
	f.Add("l", "l/l/l", "l")
	f.Add("d/l", "../d/l/..", "d/l/x")
	f.Fuzz(func(t *testing.T, link, target, name string) {
		root, err := newTree([]entry{{path: link, kind: kindLink, target: target}, {path: "dir/file", kind: kindFile}})
		if err != nil {
			return
		}
		fsys := treeFS{root: root}
		n, err := root.resolve(name, true)
		if err == nil && n.kind == kindLink {
			t.Error("a link was resolved to a link")
		}
		if _, statErr := fsys.Stat(name); (statErr == nil) != (err == nil) {
			t.Errorf("stat and resolve disagree: %v, %v", statErr, err)
		}
		if !fs.ValidPath(name) && err == nil {
			t.Errorf("the invalid path %q was found", name)
		}
		if _, err := fsys.Lstat(link); err != nil {
			t.Errorf("the link itself isn't there: %v", err)
		}
		root.contentHash(root)
	})
}

func FuzzTreeObject(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 b\x00bbbbbbbbbbbbbbbbbbbb"))
	f.Add([]byte("100644 ..\x00aaaaaaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for len(raw) > 0 {
			item, rest, err := nextTreeEntry(raw, []string{"dir"})
			if err != nil {
				return
			}
			if len(rest) >= len(raw) {
				t.Fatal("no progress")
			}
			if name := item.parts[1]; name == ".." || name == "" || strings.Contains(name, "/") {
				t.Errorf("the name %q passed", name)
			}
			raw = rest
		}
	})
}

func FuzzInspectPack(f *testing.F) {
	f.Add(packOf(packed(f, plumbing.BlobObject, 4, nil, []byte("base"))))
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	lim := Limits{MaxObjectBytes: 1 << 16, MaxUnpackedBytes: 1 << 18, MaxObjects: 100}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		n, bases, err := inspectPack(bytes.NewReader(data), io.Discard, lim)
		if err == nil && (n > lim.MaxObjects || len(bases) > n) {
			t.Errorf("%d objects, %d bases", n, len(bases))
		}
	})
}

func FuzzManifest(f *testing.F) {
	good, err := manifest{Revision: "main@sha1:x", Entries: []manifestEntry{{Path: "a", Kind: kindFile, Sum: strings.Repeat("ab", 32)}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err == nil {
			_, _ = m.tree()
		}
	})
}
