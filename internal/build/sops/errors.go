package sops

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrMAC says that a file is not as it was when it was encrypted.
	ErrMAC = errors.New("its MAC doesn't match: it was changed without sops after it was encrypted; " +
		"make changes with `sops edit`, or encrypt it again (mac_only_encrypted leaves out what isn't encrypted)")
	// ErrNotEncrypted says that a file has no metadata of SOPS.
	ErrNotEncrypted = errors.New("has no metadata of sops: it isn't encrypted")
	errTooDeep      = fmt.Errorf("is nested deeper than %d levels", maxDepth)
)

// Recipient is a key that a file is encrypted for.
type Recipient struct {
	// Kind is "age", "PGP", or the key service's name, such as "AWS KMS".
	Kind string
	// ID is the age recipient, the fingerprint, or the address of the key.
	ID string

	encrypted string
}

func (r Recipient) served() bool { return r.Kind == kindAge || r.Kind == kindPGP }

func (r Recipient) String() string { return r.Kind + " " + r.ID }

// MissingKeyError says that none of the keys at hand opens a file.
type MissingKeyError struct {
	// Groups are those that stayed closed. With one group any of its keys will do.
	Groups [][]Recipient
	// Need is how many more of the groups have to be opened; all of them unless the file was split among groups.
	Need int
	// Have are the public names of the keys at hand.
	Have []string
	// Cause is what a key that fits said, if one does: it holds no content.
	Cause error
}

func (e *MissingKeyError) Error() string {
	var b strings.Builder
	if len(e.Groups) == 1 {
		fmt.Fprintf(&b, "can't be decrypted: it needs %s", oneOf(e.Groups[0]))
	} else {
		fmt.Fprintf(&b, "can't be decrypted: it needs a key of %d more of these groups: ", e.Need)
		for i, g := range e.Groups {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(oneOf(g))
		}
	}
	switch {
	case e.Cause != nil:
		fmt.Fprintf(&b, "; a key at hand fits and fails: %v", e.Cause)
	case len(e.Have) == 0:
		b.WriteString("; there is no key at hand")
	default:
		fmt.Fprintf(&b, "; the keys at hand are %s", strings.Join(e.Have, ", "))
	}
	for _, g := range e.Groups {
		if !servedAny(g) {
			b.WriteString("; key services of clouds and Vault aren't served: add an age or PGP key to that group with `sops updatekeys`")
			break
		}
	}
	return b.String()
}

func (e *MissingKeyError) Unwrap() error { return e.Cause }

// maxNamed is how many recipients an error names.
const maxNamed = 8

func oneOf(group []Recipient) string {
	var names []string
	for _, r := range group {
		if len(names) == maxNamed {
			names = append(names, "…")
			break
		}
		names = append(names, r.String())
	}
	if len(names) == 0 {
		return "a key, and names none"
	}
	return "the private key of " + strings.Join(names, " or ")
}

func servedAny(group []Recipient) bool {
	for _, r := range group {
		if r.served() {
			return true
		}
	}
	return false
}
