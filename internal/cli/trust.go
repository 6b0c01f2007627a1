package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	packages "github.com/slipway-dev/slipway/internal/module/pack"
)

// trustFlags say which registries and whose signatures are trusted where packages are taken from. The agent and who plans in its place have
// the same ones.
type trustFlags struct {
	insecure        []string
	keys            []string
	issuer, subject string
	root            string
}

// trust is what they say.
type trust struct {
	// Insecure are hosts of registries that may answer without TLS.
	Insecure []string
	// Verify is whose signature packages must have whose Module says nothing; nil: nobody's.
	Verify *packages.Verification
	// TrustedRoot is sigstore's trusted_root.json; empty: nobody vouches for identities.
	TrustedRoot []byte
}

func (f *trustFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.insecure, "insecure-registries", nil, "hosts of registries, such as 127.0.0.1:5000, from which packages of modules may come without TLS")
	flags.StringSliceVar(&f.keys, "verify-keys", nil,
		"files with cosign's public keys, in PEM: where a Module has no spec.verify, its package must be signed with one of them (default: it needn't be signed)")
	flags.StringVar(&f.issuer, "verify-issuer", "", "with --trusted-root, in place of --verify-keys: regular expression that matches the whole issuer of who must have signed without a key")
	flags.StringVar(&f.subject, "verify-subject", "", "with --verify-issuer: regular expression that matches the whole subject")
	flags.StringVar(&f.root, "trusted-root", "", "file of sigstore's trusted_root.json, which vouches for those who sign without a key; spec.verify.identities of a Module needs it")
}

// read reads the files that the flags name, and tells what can't work before anything depends on it.
func (f *trustFlags) read() (trust, error) {
	out := trust{Insecure: f.insecure}
	if f.root != "" {
		var err error
		if out.TrustedRoot, err = os.ReadFile(f.root); err != nil {
			return trust{}, usagef("--trusted-root: %w", err)
		}
	}
	switch identity := f.issuer != "" || f.subject != ""; {
	case identity && len(f.keys) > 0:
		return trust{}, usagef("give --verify-keys, or --verify-issuer and --verify-subject, not both")
	case identity && (f.issuer == "" || f.subject == "" || f.root == ""):
		return trust{}, usagef("--verify-issuer, --verify-subject and --trusted-root belong together: without one of them strangers would be trusted, or nobody")
	case identity:
		out.Verify = &packages.Verification{Identities: []v1alpha1.SignerIdentity{{Issuer: f.issuer, Subject: f.subject}}, TrustedRoot: out.TrustedRoot}
	case len(f.keys) > 0:
		keys, err := readKeys(f.keys)
		if err != nil {
			return trust{}, usagef("--verify-keys: %w", err)
		}
		out.Verify = &packages.Verification{Keys: keys}
	}
	if err := out.check(); err != nil {
		return trust{}, usagef("nothing can be verified with what --verify-keys, --verify-issuer, --verify-subject and --trusted-root say: %w", err)
	}
	return out, nil
}

// check tries what a Module would be verified with.
func (t trust) check() error {
	var everybody *packages.Verification
	if len(t.TrustedRoot) > 0 {
		everybody = &packages.Verification{Identities: []v1alpha1.SignerIdentity{{}}, TrustedRoot: t.TrustedRoot}
	}
	return errors.Join(everybody.Check(), t.Verify.Check())
}

// readKeys reads public keys, by the names of their files: the status of a Module says which of them has signed.
func readKeys(files []string) (map[string][]byte, error) {
	keys := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".pub") + ".pub"
		if _, taken := keys[name]; taken { // every folder may have a cosign.pub
			name = strings.ReplaceAll(filepath.ToSlash(file), "/", "_") + ".pub"
		}
		keys[name] = text
	}
	return keys, nil
}
