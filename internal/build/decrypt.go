package build

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/slipway-dev/slipway/internal/build/sops"
)

// decryption opens what is encrypted in a build before Kustomize reads it: only then can a file's MAC be verified, since overlays change
// the objects. A nil decryption opens nothing.
type decryption struct {
	keys *sops.Keys
	// from is where the keys are, for messages.
	from string
	// plain are the files that take the place of encrypted ones, by path without links. They are in memory only.
	plain map[string][]byte
}

func newDecryption(in Input) *decryption {
	d := in.Spec.Decryption
	if d == nil {
		return nil
	}
	from := "spec.decryption.secretRef isn't set: name a Secret with the private key there"
	if d.SecretRef != nil {
		from = fmt.Sprintf("put the private key into the Secret %s, or encrypt the file for a key that is there (`sops updatekeys`)", d.SecretRef.Name)
	}
	return &decryption{keys: in.Keys, from: from, plain: map[string][]byte{}}
}

// decryptManifests opens a file of manifests or patches.
func (v *view) decryptManifests(file string, content []byte) error {
	if v.decryption == nil || v.decryption.plain[file] != nil {
		return nil
	}
	plain, err := v.decryption.keys.DecryptManifests(content, manifestFormat(file))
	if err != nil {
		return v.undecrypted(file, err)
	}
	v.open(file, plain)
	return nil
}

func manifestFormat(file string) sops.Format {
	if sops.FormatOf(file) == sops.JSON {
		return sops.JSON
	}
	return sops.YAML
}

// decryptSources opens the files of a Secret's generator, as Flux does: the name of the entry tells a file's format, an env file is
// dotenv unless its name says something else. Those of a ConfigMap's generator stay as they are, so that an encrypted file that was
// meant to be handed on as it is isn't laid open.
func (i inspection) decryptSources(s types.KvPairSources) error {
	if i.v.decryption == nil {
		return nil
	}
	for _, f := range s.FileSources {
		key, file, named := strings.Cut(f, "=")
		if !named {
			file = key
		}
		if err := i.decryptSource(file, sops.FormatOf(key)); err != nil {
			return err
		}
	}
	for _, f := range append(s.EnvSources, s.EnvSource) {
		format := sops.FormatOf(f)
		if format == sops.Binary {
			format = sops.Dotenv
		}
		if f == "" {
			continue
		}
		if err := i.decryptSource(f, format); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) decryptSource(written string, format sops.Format) error {
	file, e, err := i.resolve("secretGenerator", written)
	if err != nil || e.kind != kindFile || i.v.decryption.plain[file] != nil {
		return err
	}
	content, err := i.v.read(file, e)
	if err != nil || !sops.Encrypted(content, format) {
		return err
	}
	plain, err := i.v.decryption.keys.Decrypt(content, format, format)
	if err != nil {
		return i.v.undecrypted(file, err)
	}
	i.v.open(file, plain)
	return nil
}

// open puts a decrypted file in the place of the encrypted one; nil: it wasn't encrypted.
func (v *view) open(file string, plain *sops.Plain) {
	if plain == nil {
		return
	}
	v.decryption.plain[file] = plain.Content
	v.secrets = append(v.secrets, plain.Secrets...)
	v.decrypted.Add(plain.Secrets...)
}

// shown is a file as Kustomize gets it.
func (v *view) shown(file string) []byte {
	if v.decryption != nil && v.decryption.plain[file] != nil {
		return v.decryption.plain[file]
	}
	return v.contents[file]
}

func (v *view) undecrypted(file string, err error) error {
	return &Error{Reason: ReasonDecryptionFailed, File: file, Message: v.decryption.explain(err), Err: err}
}

// decryptSecret opens the entries of a Secret that are encrypted files themselves, such as a generator puts there. The name of an entry
// tells in which format it is to be.
func (v *view) decryptSecret(r *resource.Resource, content []byte) ([]byte, error) {
	if v.decryption == nil || r.GetKind() != "Secret" || staysEncrypted(r.GetAnnotations(sops.DecryptAnnotation)) {
		return content, nil
	}
	var obj map[string]any
	if err := utiljson.Unmarshal(content, &obj); err != nil {
		return content, nil //nolint:nilerr // decode tells what is wrong
	}
	changed := false
	for _, field := range []string{"data", "stringData"} {
		entries, _ := obj[field].(map[string]any)
		for name, value := range entries {
			text, _ := value.(string)
			plain, err := v.decryptEntry(field, name, text)
			if err != nil {
				return nil, &Error{
					Reason: ReasonDecryptionFailed, Object: resourceName(r), Err: err,
					Message: fmt.Sprintf("the entry %s of its %s %s", name, field, v.decryption.explain(err)),
				}
			}
			if plain == nil {
				continue
			}
			changed = true
			v.secrets = append(v.secrets, plain.Secrets...)
			v.decrypted.Add(plain.Secrets...)
			entries[name] = string(plain.Content)
			if field == "data" {
				entries[name] = base64.StdEncoding.EncodeToString(plain.Content)
			}
		}
	}
	if !changed {
		return content, nil
	}
	return utiljson.Marshal(obj)
}

func (v *view) decryptEntry(field, name, text string) (*sops.Plain, error) {
	content := []byte(text)
	if field == "data" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, nil //nolint:nilerr // the API server tells
		}
	}
	format, ok := sops.Detect(content)
	if !ok {
		return nil, nil
	}
	return v.decryption.keys.Decrypt(content, format, sops.FormatOf(path.Base(name)))
}

func staysEncrypted(notes map[string]string) bool {
	return strings.EqualFold(notes[sops.DecryptAnnotation], "disabled")
}

// explain adds to what is wrong with a file what to do about a key that is missing.
func (d *decryption) explain(err error) string {
	message := err.Error()
	var missing *sops.MissingKeyError
	if errors.As(err, &missing) && missing.Cause == nil {
		message += "; " + d.from
	}
	return message
}
