package sops

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// maxPart is the size of an encrypted data key, or of a part of one, in the clear; more than a file can rightly have.
const maxPart = 1 << 10

// errNotFor says that a data key is not encrypted for the keys at hand.
var errNotFor = errors.New("is for another key")

// dataKey opens as many groups as are needed.
func (k *Keys) dataKey(m metadata) ([]byte, error) {
	var parts [][]byte
	missing := &MissingKeyError{Have: k.Names()}
	for _, group := range m.groups {
		part, err := k.part(group)
		if err != nil {
			missing.Groups = append(missing.Groups, group)
			if !errors.Is(err, errNotFor) {
				missing.Cause = err
			}
			continue
		}
		if parts = append(parts, part); len(parts) == m.threshold {
			break
		}
	}
	if missing.Need = m.threshold - len(parts); missing.Need > 0 {
		return nil, missing
	}
	key := parts[0]
	if len(m.groups) > 1 {
		var err error
		if key, err = combine(parts); err != nil {
			return nil, err
		}
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("its data key has %d bytes, not %d", len(key), keySize)
	}
	return key, nil
}

// part opens one group with whichever key fits.
func (k *Keys) part(group []Recipient) ([]byte, error) {
	err := errNotFor
	for _, r := range group {
		part, e := k.open(r)
		if e == nil {
			return part, nil
		}
		if !errors.Is(e, errNotFor) {
			err = e
		}
	}
	return nil, err
}

func (k *Keys) open(r Recipient) ([]byte, error) {
	if k == nil {
		return nil, errNotFor
	}
	switch {
	case r.Kind == kindAge && len(k.age) > 0:
		return openAge(r.encrypted, k.age)
	case r.Kind == kindPGP && len(k.pgp) > 0:
		return openPGP(r.encrypted, k.pgp)
	}
	return nil, errNotFor
}

func openAge(encrypted string, identities []age.Identity) ([]byte, error) {
	plain, err := age.Decrypt(agearmor.NewReader(strings.NewReader(encrypted)), identities...)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		return nil, errNotFor
	case err != nil:
		return nil, errors.New("the data key that it keeps for age is damaged")
	}
	return readPart(plain)
}

// openPGP makes one attempt: the callback that is asked for passphrases has none.
func openPGP(encrypted string, ring openpgp.EntityList) (part []byte, err error) {
	defer func() {
		if recover() != nil {
			part, err = nil, errors.New("the data key that it keeps for PGP is damaged")
		}
	}()
	block, err := armor.Decode(strings.NewReader(encrypted))
	if err != nil || block.Type != "PGP MESSAGE" {
		return nil, errors.New("the data key that it keeps for PGP is damaged")
	}
	noPassphrase := func([]openpgp.Key, bool) ([]byte, error) { return nil, errNotFor }
	message, err := openpgp.ReadMessage(block.Body, ring, noPassphrase, nil)
	if err != nil {
		return nil, errNotFor // it may be damaged, too: which it is can't be told apart for a key that isn't there
	}
	return readPart(message.UnverifiedBody)
}

// readPart reads to the end: only there is a message known to be whole.
func readPart(r io.Reader) ([]byte, error) {
	part, err := io.ReadAll(io.LimitReader(r, maxPart+1))
	if err != nil || len(part) > maxPart {
		return nil, errors.New("the data key that it keeps is damaged")
	}
	return part, nil
}
