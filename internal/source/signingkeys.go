package source

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// SigningKeys are the public keys of those whose signatures count.
type SigningKeys struct {
	pgp openpgp.EntityList
	ssh []ssh.PublicKey
	// unread names entries of the Secret that hold no key.
	unread []string
	// id is a hash of the Secret: requests share a fetch only if it is equal.
	id string
}

// maxSigningKeysBytes bounds one entry of the Secret, which the API server bounds to 1 MiB in all.
const maxSigningKeysBytes = 1 << 20

// SigningKeysFromSecret reads the Secret that spec.verify.secretRef names.
//
//	*.sshpub  SSH public keys, one per line, as in authorized_keys
//	*.asc     armoured PGP public keys; so is any other entry that can be read as such
//
// An entry that can't be read counts for nothing. Errors are *[Error]: no entry holds a key.
func SigningKeysFromSecret(data map[string][]byte) (SigningKeys, error) {
	var k SigningKeys
	names := slices.Sorted(maps.Keys(data))
	for _, name := range names {
		if err := k.add(name, data[name]); err != nil {
			k.unread = append(k.unread, name)
		}
	}
	if len(k.pgp)+len(k.ssh) == 0 {
		return SigningKeys{}, failf(ReasonVerification, "the Secret that spec.verify.secretRef names has no public key that can be read: "+
			"store armoured PGP keys (gpg --armor --export) under names that end in .asc, SSH keys (the .pub file) under names that end in .sshpub")
	}
	k.id = hashSecret(data, names...)
	return k, nil
}

func (k *SigningKeys) add(name string, text []byte) (err error) {
	defer guard(&err)
	if len(text) > maxSigningKeysBytes {
		return errSignature
	}
	if strings.HasSuffix(name, ".sshpub") {
		keys, err := readSSHKeys(text)
		k.ssh = append(k.ssh, keys...)
		return err
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	k.pgp = append(k.pgp, ring...)
	return err
}

// readSSHKeys takes the keys of all lines, or none.
func readSSHKeys(text []byte) (keys []ssh.PublicKey, err error) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, err
		}
		if _, ok := key.(*ssh.Certificate); ok || slices.Contains(options, "cert-authority") {
			return nil, errors.New("certificates and their authorities are not supported")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// verify returns the name of the key that made the signature.
func (k SigningKeys) verify(s signed) (signer string, err error) {
	defer guard(&err)
	switch f := formatOf(s.signature); f {
	case formatPGP:
		return k.verifyPGP(s)
	case formatSSH:
		return k.verifySSH(s)
	case formatX509:
		return "", errors.New("it has an X.509 signature, which is not supported: sign with PGP or SSH")
	}
	return "", errSignature
}

func (k SigningKeys) verifyPGP(s signed) (string, error) {
	if len(k.pgp) == 0 {
		return "", fmt.Errorf("it is signed with PGP, and there is no PGP key in the Secret (names that end in .asc)%s", k.hint())
	}
	// Expired and revoked keys are refused, and so are the broken hashes.
	by, err := openpgp.CheckArmoredDetachedSignature(k.pgp, bytes.NewReader(s.payload), bytes.NewReader(s.signature), nil)
	if err != nil {
		return "", fmt.Errorf("no PGP key of the Secret made its signature (%w)%s", quote(err, nil), k.hint())
	}
	return fmt.Sprintf("PGP %X", by.PrimaryKey.Fingerprint), nil
}

// sshNamespace is what Git has SSH sign under, so that a signature made for something else doesn't count.
const sshNamespace = "git"

func (k SigningKeys) verifySSH(s signed) (string, error) {
	if len(k.ssh) == 0 {
		return "", fmt.Errorf("it is signed with SSH, and there is no SSH key in the Secret (names that end in .sshpub)%s", k.hint())
	}
	sig, err := sshsig.Unarmor(s.signature) // It refuses ssh-rsa, which is SHA-1, as the format asks.
	if err != nil {
		return "", errSignature
	}
	for _, key := range k.ssh {
		if !bytes.Equal(key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		if err := sshsig.Verify(bytes.NewReader(s.payload), sig, key, sig.HashAlgorithm, sshNamespace); err != nil {
			return "", fmt.Errorf("its SSH signature is wrong (%w)", quote(err, nil))
		}
		return "SSH " + ssh.FingerprintSHA256(key), nil
	}
	return "", fmt.Errorf("it is signed with the SSH key %s, which isn't in the Secret%s", ssh.FingerprintSHA256(sig.PublicKey), k.hint())
}

// hint tells of entries that were meant to be keys.
func (k SigningKeys) hint() string {
	if len(k.unread) == 0 {
		return ""
	}
	return fmt.Sprintf("; these entries of the Secret can't be read as keys: %s", printable(strings.Join(k.unread, ", ")))
}

// String names the number of keys, not the keys.
func (k SigningKeys) String() string {
	return fmt.Sprintf("signing keys: %d PGP, %d SSH", len(k.pgp), len(k.ssh))
}

// LogValue is String for structured logs.
func (k SigningKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }
