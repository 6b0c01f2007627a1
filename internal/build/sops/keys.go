package sops

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

const (
	extAge = ".agekey"
	extPGP = ".asc"
)

// Keys are private keys. They are not changed by what they open. A nil *Keys opens nothing.
type Keys struct {
	age   []age.Identity
	pgp   openpgp.EntityList
	names []string
}

// ParseKeys reads the data of a decryption Secret: *.agekey hold age identities, one on each line, and *.asc OpenPGP private keys. Other
// entries, such as the credentials of a key service, are left alone. Errors name the entry and never quote it.
func ParseKeys(data map[string][]byte) (*Keys, error) {
	k := &Keys{}
	names := make([]string, 0, len(data))
	for name := range data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var err error
		switch path.Ext(name) {
		case extAge:
			err = k.addAge(string(data[name]))
		case extPGP:
			err = k.addPGP(data[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return k, nil
}

// Names are the public names of the keys: age recipients and OpenPGP fingerprints.
func (k *Keys) Names() []string {
	if k == nil {
		return nil
	}
	return slices.Clone(k.names)
}

func (k *Keys) addAge(text string) error {
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch {
		case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
			id, err := age.ParseHybridIdentity(line)
			if err != nil {
				return fmt.Errorf("line %d is not a whole age identity", number)
			}
			k.addIdentity(id, id.Recipient().String())
		case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
			id, err := age.ParseX25519Identity(line)
			if err != nil {
				return fmt.Errorf("line %d is not a whole age identity", number)
			}
			k.addIdentity(id, id.Recipient().String())
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			return fmt.Errorf("line %d is the identity of an age plugin, which is a program, and none is run; use a key of age itself", number)
		default:
			return fmt.Errorf("line %d is not an age identity (AGE-SECRET-KEY-…); put in what age-keygen wrote", number)
		}
	}
	return nil
}

func (k *Keys) addIdentity(id age.Identity, recipient string) {
	k.age = append(k.age, id)
	k.names = append(k.names, kindAge+" "+printable(recipient))
}

var errNoPGP = errors.New("is not an OpenPGP private key; put in what `gpg --export-secret-keys --armor` writes")

// addPGP takes one or several keys, armored or not.
func (k *Keys) addPGP(content []byte) error {
	entities, err := readPGP(content)
	if err != nil || len(entities) == 0 {
		return errNoPGP
	}
	for _, e := range entities {
		if err := usable(e); err != nil {
			return err
		}
		k.pgp = append(k.pgp, e)
		k.names = append(k.names, fmt.Sprintf("%s %X", kindPGP, e.PrimaryKey.Fingerprint))
	}
	return nil
}

func readPGP(content []byte) (openpgp.EntityList, error) {
	if !bytes.Contains(content, []byte("-----BEGIN PGP")) {
		return openpgp.ReadKeyRing(bytes.NewReader(content))
	}
	var all openpgp.EntityList
	in := bufio.NewReader(bytes.NewReader(content))
	for {
		block, err := armor.Decode(in)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		entities, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, entities...)
	}
}

// usable tells whether an entity has a private key that can be used as it is. One that is exported without its primary key has a
// dummy in its place.
func usable(e *openpgp.Entity) error {
	locked := false
	if p := e.PrivateKey; p != nil && !p.Dummy() {
		if !p.Encrypted {
			return nil
		}
		locked = true
	}
	for _, sub := range e.Subkeys {
		if p := sub.PrivateKey; p != nil && !p.Dummy() {
			if !p.Encrypted {
				return nil
			}
			locked = true
		}
	}
	if locked {
		return errors.New("the OpenPGP key is locked with a passphrase; export it without one")
	}
	return errNoPGP
}
