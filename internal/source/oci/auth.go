package oci

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/slipway-dev/slipway/internal/source"
)

// Auth is what a registry is shown, and how it is reached. The zero value is anonymous, with the system's authorities and the
// proxy of the environment. It prints as its kind only.
type Auth struct {
	logins      []login
	roots       *x509.CertPool
	certificate *tls.Certificate
	proxy       *url.URL
	// id is a hash of all that went into it: requests share logins and connections only if it is equal.
	id string
	// way is a hash of what decides who answers in the registry's name, certificates and proxy: requests share content only if it is equal.
	way string
}

// login is one entry of a Docker configuration.
type login struct {
	anywhere bool   // host and path don't matter
	host     string // may have * for one label
	path     string // a repository's prefix; empty for all
	auth     authn.AuthConfig
}

// Secrets are the data of the Secrets that an OCIRepository names; nil where it names none.
type Secrets struct {
	// Pull are those of spec.secretRef and of the imagePullSecrets of spec.serviceAccountName, the former first.
	Pull []map[string][]byte
	// Cert is that of spec.certSecretRef.
	Cert map[string][]byte
	// Proxy is that of spec.proxySecretRef.
	Proxy map[string][]byte
}

// AuthFromSecrets reads Secrets. Errors are *[source.Error] and tell which key is wrong, never what it holds.
func AuthFromSecrets(s Secrets) (Auth, error) {
	var a Auth
	for _, data := range s.Pull {
		logins, err := readLogins(data)
		if err != nil {
			return Auth{}, authFailed("spec.secretRef (or an imagePullSecret of spec.serviceAccountName)", err)
		}
		a.logins = append(a.logins, logins...)
	}
	if s.Cert != nil {
		if err := a.readCert(s.Cert); err != nil {
			return Auth{}, authFailed("spec.certSecretRef", err)
		}
	}
	if s.Proxy != nil {
		if err := a.readProxy(s.Proxy); err != nil {
			return Auth{}, authFailed("spec.proxySecretRef", err)
		}
	}
	a.id, a.way = s.id(), Secrets{Cert: s.Cert, Proxy: s.Proxy}.id()
	return a, nil
}

func authFailed(field string, err error) error {
	return failf(source.ReasonAuthenticationFailed, "the Secret that %s names can't be used: %w", field, err)
}

// id is empty when there is nothing.
func (s Secrets) id() string {
	h, some := sha256.New(), false
	add := func(kind string, data map[string][]byte, keys ...string) {
		for _, key := range keys {
			if len(data[key]) > 0 {
				some = true
				fmt.Fprintf(h, "%s %s %d %s\n", kind, key, len(data[key]), data[key])
			}
		}
	}
	for _, data := range s.Pull {
		add("pull", data, dockerConfigJSON, dockerConfig)
	}
	add("cert", s.Cert, "ca.crt", "tls.crt", "tls.key")
	add("proxy", s.Proxy, "address", "username", "password")
	if !some {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a *Auth) readCert(data map[string][]byte) error {
	ca, cert, key := data["ca.crt"], data["tls.crt"], data["tls.key"]
	if len(ca) == 0 && len(cert) == 0 && len(key) == 0 {
		return errors.New("it has none of the keys ca.crt, tls.crt and tls.key: set ca.crt, or tls.crt and tls.key, or all three")
	}
	if len(ca) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(ca) {
			return errors.New("ca.crt holds no certificate in PEM form")
		}
		a.roots = roots
	}
	if (len(cert) == 0) != (len(key) == 0) {
		return errors.New("tls.crt and tls.key are only useful together: set both")
	}
	if len(cert) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return errors.New("tls.crt and tls.key are not a certificate and its key in PEM form")
		}
		a.certificate = &pair
	}
	return nil
}

func (a *Auth) readProxy(data map[string][]byte) error {
	address := string(bytes.TrimSpace(data["address"]))
	if address == "" {
		return errors.New("it has no key address: set it to the proxy's URL, such as http://proxy.example.com:3128")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return errors.New("address is not the URL of a proxy: write http://HOST:PORT (https and socks5 work as well)")
	}
	if name, password := string(data["username"]), string(data["password"]); name != "" || password != "" {
		u.User = url.UserPassword(name, password)
	}
	a.proxy = u
	return nil
}

// secrets lists what must not be seen of these credentials.
func (a Auth) secrets() []string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	for _, l := range a.logins {
		add(l.auth.Password)
		add(l.auth.Auth)
		add(l.auth.IdentityToken)
		add(l.auth.RegistryToken)
	}
	if a.proxy != nil {
		password, _ := a.proxy.User.Password()
		add(password)
	}
	return out
}

// describe names the kind of credentials for a message.
func (a Auth) describe() string {
	switch {
	case len(a.logins) > 0:
		return "this login"
	case a.certificate != nil:
		return "this client certificate"
	}
	return "a request without credentials"
}

// String names the kind, never the content.
func (a Auth) String() string { return "auth: " + strings.TrimPrefix(a.describe(), "this ") }

// GoString keeps %#v from printing the fields.
func (a Auth) GoString() string { return a.String() }

// LogValue keeps structured logs from printing the fields.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }
