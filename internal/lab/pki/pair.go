package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-dev/slipway/internal/lab/configfile"
)

// Pair is a certificate and its key, in files and in memory.
type Pair struct {
	// CertFile and KeyFile are where they are kept.
	CertFile, KeyFile string
	// Cert and Key are their PEM blocks.
	Cert, Key []byte

	certDER []byte
	key     *ecdsa.PrivateKey
}

// PublicKey is the public half in PEM, as --service-account-key-file takes it.
func (p Pair) PublicKey() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return encode("PUBLIC KEY", der), nil
}

func files(dir, name string) (cert, key string) {
	return filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
}

// writePair writes the key first: a pair counts as there when its certificate is.
func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	certFile, keyFile := files(dir, name)
	if err := configfile.Write(keyFile, encode("EC PRIVATE KEY", keyDER), 0o600); err != nil {
		return err
	}
	return configfile.Write(certFile, encode("CERTIFICATE", der), 0o600)
}

func readPair(dir, name string) (Pair, error) {
	p := Pair{}
	p.CertFile, p.KeyFile = files(dir, name)
	var err error
	if p.Cert, err = os.ReadFile(p.CertFile); err != nil {
		return Pair{}, err
	}
	if p.Key, err = os.ReadFile(p.KeyFile); err != nil {
		return Pair{}, err
	}
	cert, _ := pem.Decode(p.Cert)
	key, _ := pem.Decode(p.Key)
	if cert == nil || key == nil {
		return Pair{}, errors.New("not PEM: remove the file to have it made again")
	}
	p.certDER = cert.Bytes
	if p.key, err = x509.ParseECPrivateKey(key.Bytes); err != nil {
		return Pair{}, fmt.Errorf("read key: %w", err)
	}
	return p, nil
}
