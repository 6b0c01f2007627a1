package source

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Auth is what a request shows to a server. The zero value is anonymous. It
// prints as its kind only.
type Auth struct {
	username, password string
	token              string
	signer             ssh.Signer
	hosts              *knownHosts
	roots              *x509.CertPool
	certificate        *tls.Certificate
	app                *githubApp
	// id is a hash of all of the above: requests share a fetch only if it is equal.
	id string
	// tlsID is a hash of roots and certificate: requests share connections only if it is equal.
	tlsID string
}

// AuthFromSecret reads a Secret's data for a repository's URL.
//
//	http, https: username + password, or bearerToken
//	https:       ca.crt (or caFile), tls.crt + tls.key
//	ssh:         identity + known_hosts, password (of the key)
//
// No data means anonymous. Errors are *[Error] and tell which key is wrong,
// never what it holds.
func AuthFromSecret(data map[string][]byte, repositoryURL string) (Auth, error) {
	rem, err := parseURL(repositoryURL, true)
	if err != nil {
		return Auth{}, err
	}
	if len(data["githubAppID"]) > 0 {
		return Auth{}, failf(ReasonProviderInvalid, "the Secret that spec.secretRef names is one of a GitHub App (githubAppID): set spec.provider: github, or take these keys out of it")
	}
	var a Auth
	switch rem.scheme {
	case "ssh":
		err = a.readSSH(data)
	case "http", "https":
		if len(data) > 0 {
			err = a.readHTTP(data)
		}
	}
	if err != nil {
		return Auth{}, &Error{Reason: ReasonAuthenticationFailed, Err: fmt.Errorf("the Secret that spec.secretRef names can't be used for %s: %w", rem, err)}
	}
	a.id = hashSecret(data, "username", "password", "bearerToken", "identity", "known_hosts", "ca.crt", "caFile", "tls.crt", "tls.key")
	a.tlsID = hashSecret(data, "ca.crt", "caFile", "tls.crt", "tls.key")
	return a, nil
}

func (a *Auth) readSSH(data map[string][]byte) error {
	if len(data["identity"]) == 0 || len(data["known_hosts"]) == 0 {
		return errors.New("ssh needs a private key under identity, and the host's public keys under known_hosts (ssh-keyscan HOST prints them)")
	}
	var err error
	if a.hosts, err = parseKnownHosts(data["known_hosts"]); err != nil {
		return err
	}
	a.signer, err = parseKey(data["identity"], data["password"])
	return err
}

// parseKey hides the parser's words: they may quote the input.
func parseKey(identity, passphrase []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(identity)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		if err != nil {
			return nil, errors.New("identity is not a private key that can be read: it must be PEM (OpenSSH, PKCS#1 or PKCS#8)")
		}
		return signer, nil
	}
	if len(passphrase) == 0 {
		return nil, errors.New("identity is encrypted: put its passphrase under password")
	}
	if signer, err = ssh.ParsePrivateKeyWithPassphrase(identity, passphrase); err != nil {
		return nil, errors.New("identity can't be decrypted: check the passphrase under password")
	}
	return signer, nil
}

func (a *Auth) readHTTP(data map[string][]byte) error {
	a.username, a.password = string(data["username"]), string(data["password"])
	a.token = string(data["bearerToken"])
	basic := a.username != "" || a.password != ""
	if basic && (a.username == "" || a.password == "") {
		return errors.New("username and password are only useful together: set both (with a token as the password, most servers take any username)")
	}
	if basic && a.token != "" {
		return errors.New("both username + password and bearerToken are set: remove one of them")
	}
	if strings.ContainsAny(a.token, "\r\n") {
		return errors.New("bearerToken holds a line break: store it without one (echo -n)")
	}
	found, err := a.readTLS(data)
	if err != nil {
		return err
	}
	if !found && !basic && a.token == "" {
		return errors.New("http(s) needs username + password, bearerToken, ca.crt, or tls.crt + tls.key, and none of these keys is there")
	}
	return nil
}

func (a *Auth) readTLS(data map[string][]byte) (found bool, err error) {
	ca := data["ca.crt"]
	if len(ca) == 0 {
		ca = data["caFile"]
	}
	if len(ca) > 0 {
		if a.roots, err = x509.SystemCertPool(); err != nil {
			a.roots = x509.NewCertPool()
		}
		if !a.roots.AppendCertsFromPEM(ca) {
			return false, errors.New("ca.crt holds no certificate in PEM form")
		}
	}
	cert, key := data["tls.crt"], data["tls.key"]
	if (len(cert) == 0) != (len(key) == 0) {
		return false, errors.New("tls.crt and tls.key are only useful together: set both")
	}
	if len(cert) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return false, errors.New("tls.crt and tls.key are not a certificate and its key in PEM form")
		}
		a.certificate = &pair
	}
	return len(ca) > 0 || len(cert) > 0, nil
}

// hashSecret identifies the given keys' values; the empty string when none is set.
func hashSecret(data map[string][]byte, keys ...string) string {
	h, any := sha256.New(), false
	for _, k := range keys {
		any = any || len(data[k]) > 0
		fmt.Fprintf(h, "%s %d %s\n", k, len(data[k]), data[k])
	}
	if !any {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// withURL takes the userinfo of the URL when there is nothing better.
func (a Auth) withURL(rem *remote) Auth {
	if rem.scheme == "ssh" || rem.user == "" || a.username != "" || a.token != "" || a.app != nil {
		return a
	}
	a.username, a.password = rem.user, rem.password
	a.id += hashSecret(map[string][]byte{"u": []byte(rem.user), "p": []byte(rem.password)}, "u", "p")
	return a
}

// secrets lists what must not be seen of these credentials.
func (a Auth) secrets() []string {
	var out []string
	for _, s := range []string{a.password, a.token} {
		out = append(out, spellings(s)...)
	}
	if a.password != "" {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(a.username+":"+a.password)))
	}
	return out
}

// spellings lists the forms in which a secret may turn up in a text.
func spellings(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s, url.QueryEscape(s), url.PathEscape(s)}
}

// describe names the kind of credentials for a message.
func (a Auth) describe(rem *remote) string {
	switch {
	case a.app != nil:
		return "the token of the GitHub App"
	case rem.scheme == "ssh":
		return "the key of this Secret (identity)"
	case a.token != "":
		return "the bearer token"
	case a.username != "":
		return "this username and password"
	case a.certificate != nil:
		return "this client certificate"
	}
	return "a request without credentials"
}

// String names the kind, never the content.
func (a Auth) String() string {
	switch {
	case a.app != nil:
		return "auth: GitHub App"
	case a.signer != nil:
		return "auth: ssh key"
	case a.token != "":
		return "auth: bearer token"
	case a.username != "":
		return "auth: basic"
	case a.certificate != nil:
		return "auth: client certificate"
	}
	return "auth: none"
}

// GoString keeps %#v from printing the fields.
func (a Auth) GoString() string { return a.String() }

// LogValue keeps structured logs from printing the fields.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }
