package pack

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source/oci"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// Credentials are what a source is shown: the data of the Secret that it names, which the caller has read. The zero value is anonymous.
// They print as their kind only.
type Credentials struct {
	// Secret is the data of the Secret. For a registry: .dockerconfigjson, or username and password, and ca.crt; for Git, the keys of a
	// GitRepository's Secret; for web servers and Helm repositories: username and password, ca.crt.
	Secret map[string][]byte
}

// String names the kind, never the content.
func (c Credentials) String() string {
	if len(c.Secret) == 0 {
		return "anonymous"
	}
	return "credentials"
}

// id tells logins apart without telling them.
func (c Credentials) id() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", c.Secret["username"], c.Secret["password"]))
	return hex.EncodeToString(sum[:])
}

// GoString keeps %#v from printing the fields.
func (c Credentials) GoString() string { return c.String() }

// LogValue keeps structured logs from printing the fields.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Registry reads them for a registry.
func (c Credentials) Registry() (oci.Auth, error) {
	s := oci.Secrets{}
	if len(c.Secret["ca.crt"]) > 0 {
		s.Cert = map[string][]byte{"ca.crt": c.Secret["ca.crt"]}
	}
	username, password := string(c.Secret["username"]), string(c.Secret["password"])
	switch {
	case len(c.Secret) == 0:
		return oci.Auth{}, nil
	case username != "" && s.Cert == nil:
		return oci.Login(username, password), nil
	case username != "":
		return oci.Auth{}, errors.New("the source's Secret has username and ca.crt: give the login as .dockerconfigjson")
	}
	if len(c.Secret[".dockerconfigjson"]) > 0 || len(c.Secret[".dockercfg"]) > 0 || s.Cert == nil {
		s.Pull = []map[string][]byte{c.Secret}
	}
	auth, err := oci.AuthFromSecrets(s)
	return auth, reword(err)
}

// Verification says whose signature a package must have. Either Keys or Identities are set.
type Verification struct {
	// Keys is the data of a Secret: the values whose names end in .pub are cosign's public keys, in PEM. One of them is enough.
	Keys map[string][]byte
	// Identities are those that may have signed without a key. One of them is enough.
	Identities []v1alpha1.SignerIdentity
	// TrustedRoot is who vouches for identities: sigstore's trusted_root.json.
	TrustedRoot []byte
}

// Check is an error if nothing can be verified with it: a key that is none, or nobody who vouches for identities. Nil verifies nothing, which
// works.
func (v *Verification) Check() error {
	_, err := v.verifier()
	return err
}

// verifier returns what checks signatures; nil where none is asked for.
func (v *Verification) verifier() (signature.Verifier, error) {
	if v == nil {
		return nil, nil
	}
	if len(v.Identities) == 0 {
		found, err := signature.CosignKeys(v.Keys)
		return found, reword(err)
	}
	if len(v.TrustedRoot) == 0 {
		return nil, errors.New("spec.verify.identities needs to know who vouches for identities: give the agent a trusted root (--trusted-root), or sign with a key and name that in spec.verify.keysRef")
	}
	identities := make([]signature.Identity, 0, len(v.Identities))
	for _, i := range v.Identities {
		identities = append(identities, signature.Identity{Issuer: whole(i.Issuer), Subject: whole(i.Subject)})
	}
	found, err := signature.CosignKeyless(identities, v.TrustedRoot)
	return found, reword(err)
}

// whole makes a regular expression match all of a text.
func whole(expression string) string { return "^(?:" + cmp.Or(expression, ".*") + ")$" }
