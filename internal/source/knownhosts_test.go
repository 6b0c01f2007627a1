package source

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func hostKey(t testing.TB) ssh.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKnownHosts(t *testing.T) {
	good, bad := hostKey(t), hostKey(t)
	line := func(hosts string, key ssh.PublicKey) string {
		return hosts + " " + string(ssh.MarshalAuthorizedKey(key))
	}
	cases := map[string]struct {
		reason  string
		file    string
		address string
		ok      bool
	}{
		"plain":            {"a host by name", line("example.com", good), "example.com:22", true},
		"case":             {"names have no case", line("Example.com", good), "EXAMPLE.com:22", true},
		"list":             {"one of several names", line("a.example.com,192.0.2.1", good), "192.0.2.1:22", true},
		"port":             {"another port is another host", line("example.com", good), "example.com:2222", false},
		"port given":       {"a port in brackets", line("[example.com]:2222", good), "example.com:2222", true},
		"IPv6":             {"an address with colons", line("2001:db8::1", good), "[2001:db8::1]:22", true},
		"wildcard":         {"a pattern", line("*.example.com", good), "git.example.com:22", true},
		"port pattern":     {"a pattern with a port", line("[*.example.com]:2222", good), "git.example.com:2222", true},
		"brackets":         {"brackets are no character class", line("[e]xample.com", good), "example.com:22", false},
		"negated":          {"an exception", line("*.example.com,!git.example.com", good), "git.example.com:22", false},
		"hashed":           {"a hashed name", line(knownhosts.HashHostname("example.com"), good), "example.com:22", true},
		"hashed port":      {"a hashed name with a port", line(knownhosts.HashHostname("[example.com]:2222"), good), "example.com:2222", true},
		"hashed other":     {"another hashed name", line(knownhosts.HashHostname("example.org"), good), "example.com:22", false},
		"hash broken":      {"a hash that is none", line("|1|###|###", good), "example.com:22", false},
		"hash half":        {"half a hash", line("|1|abc", good), "example.com:22", false},
		"hash half broken": {"a salt without a hash", line("|1|YWJj|###", good), "example.com:22", false},
		"second key":       {"a host with two keys", line("example.com", bad) + "# comment\n\n" + line("example.com", good), "example.com:22", true},
		"other key":        {"the wrong key", line("example.com", bad), "example.com:22", false},
		"revoked":          {"revoked goes before known", line("example.com", good) + "@revoked " + line("*", good), "example.com:22", false},
		"other revoked":    {"another key is revoked", line("example.com", good) + "@revoked " + line("*", bad), "example.com:22", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			k, err := parseKnownHosts([]byte(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			err = k.check(tc.address, good)
			if (err == nil) != tc.ok || (err != nil && !errors.Is(err, ErrHostKey)) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestHostKeyAlgorithms(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := "example.com " + string(ssh.MarshalAuthorizedKey(key)) + "example.com " + string(ssh.MarshalAuthorizedKey(hostKey(t))) +
		"@revoked example.com " + string(ssh.MarshalAuthorizedKey(hostKey(t)))
	k, err := parseKnownHosts([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	// RSA keys are asked for by their SHA-2 signatures; SHA-1 is out of use.
	if got := strings.Join(k.algorithms("example.com:22"), " "); got != "rsa-sha2-256 rsa-sha2-512 ssh-ed25519" {
		t.Errorf("got %s", got)
	}
	if got := k.algorithms("example.org:22"); len(got) > 0 {
		t.Errorf("an unknown host: %v", got)
	}
}
