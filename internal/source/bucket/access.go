package bucket

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/slipway-dev/slipway/internal/source"
)

// Access is with what credentials, certificates and proxy a bucket is reached. The zero value is anonymous and direct. It prints as
// nothing.
type Access struct {
	accessKey, secretKey string
	roots                *x509.CertPool
	certificate          *tls.Certificate
	proxy                *url.URL
	// id is a hash of all that it was made of. Only requests with equal ones share connections and what was fetched.
	id string
}

// Format keeps credentials out of whatever is printed.
func (Access) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("access")) }

// Secrets are the data of the Secrets that a Bucket names; nil for those it doesn't name.
type Secrets struct {
	// Keys is spec.secretRef's: accesskey and secretkey.
	Keys map[string][]byte
	// Certificates is spec.certSecretRef's: ca.crt, tls.crt and tls.key.
	Certificates map[string][]byte
	// Proxy is spec.proxySecretRef's: address, username and password.
	Proxy map[string][]byte
}

// AccessFromSecrets reads Secrets. Errors are *source.Error and tell which key is wrong, never what it holds.
func AccessFromSecrets(s Secrets) (Access, error) {
	a := Access{id: s.id()}
	err := errors.Join(a.readKeys(s.Keys), a.readCertificates(s.Certificates), a.readProxy(s.Proxy))
	if err != nil {
		return Access{}, &source.Error{Reason: source.ReasonAuthenticationFailed, Err: err}
	}
	return a, nil
}

func (s Secrets) id() string {
	h := sha256.New()
	for _, part := range []map[string][]byte{s.Keys, s.Certificates, s.Proxy} {
		for _, key := range []string{"accesskey", "secretkey", "ca.crt", "tls.crt", "tls.key", "address", "username", "password"} {
			fmt.Fprintf(h, "%d:%s;", len(part[key]), part[key])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a *Access) readKeys(data map[string][]byte) error {
	if data == nil {
		return nil
	}
	a.accessKey, a.secretKey = string(data["accesskey"]), string(data["secretkey"])
	if a.accessKey == "" || a.secretKey == "" {
		return errors.New("the Secret that spec.secretRef names lacks accesskey or secretkey; set both, or take spec.secretRef away for a public bucket")
	}
	return nil
}

func (a *Access) readCertificates(data map[string][]byte) error {
	if data == nil {
		return nil
	}
	ca, cert, key := data["ca.crt"], data["tls.crt"], data["tls.key"]
	if len(ca) == 0 && len(cert) == 0 && len(key) == 0 {
		return errors.New("the Secret that spec.certSecretRef names has neither ca.crt nor tls.crt and tls.key; set what the server needs")
	}
	if len(ca) > 0 {
		var err error
		if a.roots, err = x509.SystemCertPool(); err != nil {
			a.roots = x509.NewCertPool()
		}
		if !a.roots.AppendCertsFromPEM(ca) {
			return errors.New("ca.crt in the Secret that spec.certSecretRef names has no certificate in PEM")
		}
	}
	if len(cert) == 0 && len(key) == 0 {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // its words may quote the key
		return errors.New("tls.crt and tls.key in the Secret that spec.certSecretRef names are no certificate and its key in PEM; set both")
	}
	a.certificate = &pair
	return nil
}

func (a *Access) readProxy(data map[string][]byte) error {
	if data == nil {
		return nil
	}
	u, err := url.Parse(string(data["address"]))
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return errors.New("address in the Secret that spec.proxySecretRef names must be http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
	}
	if user := string(data["username"]); user != "" {
		u.User = url.UserPassword(user, string(data["password"]))
	}
	a.proxy = u
	return nil
}

// credentials are those of a static key, or anonymous ones.
func (a Access) credentials() *credentials.Credentials {
	if a.accessKey == "" {
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	}
	return credentials.NewStaticV4(a.accessKey, a.secretKey, "")
}

// transport has connections of its own: they are never shared with other credentials.
func (a Access) transport() *http.Transport {
	tr := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots}
	if a.certificate != nil {
		tr.TLSClientConfig.Certificates = []tls.Certificate{*a.certificate}
	}
	if a.proxy != nil {
		tr.Proxy = http.ProxyURL(a.proxy)
	}
	tr.MaxResponseHeaderBytes = 1 << 20
	tr.MaxIdleConnsPerHost = atOnce
	tr.DisableCompression = true // what is stored is what the server has
	return tr
}

// hidden are the texts that must not be shown.
func (a Access) hidden() []string {
	out := []string{a.accessKey, a.secretKey}
	if a.proxy != nil && a.proxy.User != nil {
		password, _ := a.proxy.User.Password()
		out = append(out, password)
	}
	return out
}
