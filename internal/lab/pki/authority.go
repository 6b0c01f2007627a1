package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is how long certificates last: longer than any lab is kept, as nothing renews them.
const validity = 10 * 365 * 24 * time.Hour

// Authority signs certificates and keeps them in a folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request says what a certificate is for.
type Request struct {
	// Name is the common name: the user that a client certificate stands for.
	Name string
	// Groups are the organizations: the groups of that user.
	Groups []string
	// Hosts are the names and addresses that a server certificate is good for.
	Hosts []string
}

// Open returns the authority that is kept in dir, which is made when there is none. name is the common name of a new one.
func Open(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for certificates: %w", err)
	}
	a := &Authority{dir: dir}
	err := a.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = a.create(name)
	}
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %w", dir, err)
	}
	return a, nil
}

// CertFile is the path of the authority's own certificate.
func (a *Authority) CertFile() string { return filepath.Join(a.dir, "ca.crt") }

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

func (a *Authority) load() error {
	pair, err := readPair(a.dir, "ca")
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(pair.certDER); err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	a.key = pair.key
	return nil
}

func (a *Authority) create(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	template := newTemplate(pkix.Name{CommonName: name})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("sign itself: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	a.key = key
	return writePair(a.dir, "ca", der, key)
}

// Ensure returns the certificate called file, which is signed when the folder doesn't have it. One that is there is kept as it
// is, whatever req says: the folder is the lab's memory.
func (a *Authority) Ensure(file string, req Request) (Pair, error) {
	pair, err := readPair(a.dir, file)
	if err == nil {
		return pair, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Pair{}, fmt.Errorf("certificate %s: %w", file, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key for %s: %w", file, err)
	}
	template := newTemplate(pkix.Name{CommonName: req.Name, Organization: req.Groups})
	for _, host := range req.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign %s: %w", file, err)
	}
	if err := writePair(a.dir, file, der, key); err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", file, err)
	}
	return readPair(a.dir, file)
}

func newTemplate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil { // crypto/rand never fails on a supported system
		serial = big.NewInt(time.Now().UnixNano())
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour), // clocks that were set back a little
		NotAfter:     time.Now().Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
