package source_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// author signs as Git does.
type author struct {
	entry  string // of the Secret, with its key
	public []byte
	name   string // what a status calls the key
	sign   func(payload string) string
}

func pgpAuthor(t testing.TB, config *packet.Config) author {
	t.Helper()
	e, err := openpgp.NewEntity("Ada", "", "ada@example.com", config)
	must(t, err)
	var public bytes.Buffer
	w, err := armor.Encode(&public, openpgp.PublicKeyType, nil)
	must(t, err)
	must(t, e.Serialize(w))
	must(t, w.Close())
	return author{
		entry: "ada.asc", public: public.Bytes(), name: "PGP " + strings.ToUpper(hexOf(e.PrimaryKey.Fingerprint)),
		sign: func(payload string) string {
			var out bytes.Buffer
			must(t, openpgp.ArmoredDetachSign(&out, e, strings.NewReader(payload), config))
			return out.String() + "\n"
		},
	}
}

func sshAuthor(t testing.TB, namespace string) author {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return author{
		entry: "ada.sshpub", public: append([]byte("# of Ada\n"), ssh.MarshalAuthorizedKey(signer.PublicKey())...), name: "SSH " + ssh.FingerprintSHA256(signer.PublicKey()),
		sign: func(payload string) string {
			sig, err := sshsig.Sign(strings.NewReader(payload), signer, sshsig.HashSHA512, namespace)
			must(t, err)
			return string(sshsig.Armor(sig))
		},
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// signHead replaces the last commit by a signed one.
func (r *repo) signHead(by author) string {
	r.t.Helper()
	raw := r.git("cat-file", "commit", "HEAD") + "\n"
	return r.replaceHead(withSignature(raw, by.sign(raw)))
}

// withSignature puts a signature behind a commit's headers.
func withSignature(raw, signature string) string {
	head, message, _ := strings.Cut(raw, "\n\n")
	return head + "\ngpgsig " + strings.ReplaceAll(strings.TrimSuffix(signature, "\n"), "\n", "\n ") + "\n\n" + message
}

func (r *repo) replaceHead(raw string) string {
	r.t.Helper()
	commit := r.gitIn(raw, "hash-object", "-t", "commit", "-w", "--stdin")
	r.git("reset", "-q", "--hard", commit)
	return commit
}

// signedTag puts a signed tag on the last commit, under any reference.
func (r *repo) signedTag(by author, name, ref string) {
	r.t.Helper()
	raw := "object " + r.git("rev-parse", "HEAD") + "\ntype commit\ntag " + name + "\ntagger Ada <ada@example.com> 1767323045 +0000\n\nrelease\n"
	tag := r.gitIn(raw+by.sign(raw), "hash-object", "-t", "tag", "-w", "--stdin")
	r.git("update-ref", ref, tag)
}
