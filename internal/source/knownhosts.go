package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The hash of OpenSSH's hashed host names; nothing rests on its strength.
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownHosts is a parsed known_hosts file, see sshd(8).
type knownHosts struct {
	lines []knownHost
}

type knownHost struct {
	patterns []string
	revoked  bool
	key      ssh.PublicKey
}

// parseKnownHosts reads a known_hosts file from memory: nothing secret, or
// half-trusted, is put on disk for it.
func parseKnownHosts(data []byte) (*knownHosts, error) {
	k := &knownHosts{}
	for n := 1; len(bytes.TrimSpace(data)) > 0; n++ {
		marker, hosts, key, _, rest, err := ssh.ParseKnownHosts(data)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("known_hosts: entry %d can't be read: each line must be HOST TYPE KEY, as ssh-keyscan prints them", n)
		}
		if marker == "cert-authority" {
			return nil, errors.New("known_hosts: @cert-authority lines are not supported: list the host's own keys")
		}
		k.lines = append(k.lines, knownHost{patterns: hosts, revoked: marker == "revoked", key: key})
		data = rest
	}
	if len(k.lines) == 0 {
		return nil, errors.New("known_hosts holds no key: put the lines there that ssh-keyscan HOST prints")
	}
	return k, nil
}

// check is an ssh.HostKeyCallback. A key is good when a line of this host has
// it and none revokes it.
func (k *knownHosts) check(address string, key ssh.PublicKey) error {
	var known []string
	trusted := false
	for _, l := range k.lines {
		if !l.matches(address) {
			continue
		}
		same := bytes.Equal(l.key.Marshal(), key.Marshal())
		if same && l.revoked {
			return failf(ReasonAuthenticationFailed, "%w: the key %s of %s is marked @revoked in known_hosts: find out why before you go on", ErrHostKey, ssh.FingerprintSHA256(key), address)
		}
		trusted = trusted || (same && !l.revoked)
		if !l.revoked {
			known = append(known, l.key.Type()+" "+ssh.FingerprintSHA256(l.key))
		}
	}
	switch {
	case trusted:
		return nil
	case len(known) == 0:
		return failf(ReasonAuthenticationFailed, "%w: known_hosts has no key for %s, which shows %s %s: compare it with what the server's owner publishes, then add the line that ssh-keyscan prints", ErrHostKey, address, key.Type(), ssh.FingerprintSHA256(key))
	}
	return failf(ReasonAuthenticationFailed, "%w: %s shows %s %s, but known_hosts has %s: somebody may be in between; if the owner did change the key, replace the line in known_hosts", ErrHostKey, address, key.Type(), ssh.FingerprintSHA256(key), strings.Join(known, ", "))
}

// algorithms lists the signature algorithms to ask the host for, so that it
// shows a key that known_hosts can judge. Empty means any.
func (k *knownHosts) algorithms(address string) []string {
	var out []string
	for _, l := range k.lines {
		if l.revoked || !l.matches(address) {
			continue
		}
		if l.key.Type() == ssh.KeyAlgoRSA {
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		out = append(out, l.key.Type())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// matches follows sshd(8): any pattern suffices, a negated one forbids.
func (h knownHost) matches(address string) bool {
	name := normalHost(address)
	found := false
	for _, p := range h.patterns {
		negated := strings.HasPrefix(p, "!")
		if !hostMatches(strings.TrimPrefix(p, "!"), name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// normalHost spells host:port as known_hosts does: the port only when it isn't 22.
func normalHost(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return strings.ToLower(address)
	}
	host = strings.ToLower(host)
	if port == "22" {
		return host
	}
	return "[" + host + "]:" + port
}

func hostMatches(pattern, name string) bool {
	if hashed, ok := strings.CutPrefix(pattern, "|1|"); ok {
		return hashedHostMatches(hashed, name)
	}
	pattern = strings.ToLower(pattern)
	if pattern == name {
		return true
	}
	// Brackets stand for themselves here, not for a class.
	quoted := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(pattern)
	ok, err := path.Match(quoted, name)
	return err == nil && ok
}

func hashedHostMatches(hashed, name string) bool {
	salt, sum, ok := strings.Cut(hashed, "|")
	if !ok {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(sum)
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), want)
}
