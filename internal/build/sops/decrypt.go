package sops

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Plain is a decrypted file.
type Plain struct {
	// Content in the format that was asked for.
	Content []byte
	// Secrets are the values that were encrypted, as text, which nobody may be shown. Of a Kubernetes object its kind, name and
	// namespace don't count, even where they were encrypted: every message names them.
	Secrets []string
}

// Decrypt opens an encrypted file with the keys, verifies its MAC, and writes it in the format out. Errors are of type *MissingKeyError
// when keys are missing, ErrMAC, ErrNotEncrypted, or say what is wrong with the file; their texts begin in the middle of a sentence about it.
func (k *Keys) Decrypt(content []byte, in, out Format) (plain *Plain, err error) {
	defer func() {
		if p := recover(); p != nil { // of the parsers: their bugs must not end the process
			plain, err = nil, fmt.Errorf("can't be read as %s", in)
		}
	}()
	docs, meta, err := parse(content, in)
	if err != nil {
		return nil, err
	}
	opened, err := k.decrypt(docs, meta)
	if err != nil {
		return nil, err
	}
	text, err := emit(docs, out)
	if err != nil {
		return nil, err
	}
	return &Plain{Content: text, Secrets: secrets(docs, opened)}, nil
}

// decrypt changes docs in place.
func (k *Keys) decrypt(docs []document, meta metadata) ([]opened, error) {
	key, err := k.dataKey(meta)
	if err != nil {
		return nil, err
	}
	w := newWalk(key, meta)
	for _, doc := range docs {
		if err := w.mapping(doc, nil, nil); err != nil {
			return nil, err
		}
	}
	if err := w.verify(meta); err != nil {
		return nil, err
	}
	return w.opened, nil
}

// parse reads a file and takes its metadata out of it.
func parse(content []byte, format Format) ([]document, metadata, error) {
	docs, err := load(content, format)
	if err != nil {
		return nil, metadata{}, err
	}
	if len(docs) == 0 {
		return nil, metadata{}, ErrNotEncrypted
	}
	var raw any
	if format == Dotenv {
		rest, flat := flatMetadata(docs[0])
		if raw, err = unflatten(flat); err != nil {
			return nil, metadata{}, err
		}
		docs[0] = rest
	} else {
		for i := range docs { // each document has a copy; the first counts
			rest, found, ok := docs[i].without(metadataKey)
			if ok {
				docs[i] = rest
			}
			if i == 0 {
				raw = found
			}
		}
	}
	if format == INI {
		if raw, err = iniMetadata(raw); err != nil {
			return nil, metadata{}, err
		}
	}
	meta, err := parseMetadata(raw)
	return docs, meta, err
}

func load(content []byte, format Format) ([]document, error) {
	switch format {
	case YAML:
		return parseYAML(content)
	case JSON, Binary:
		return parseJSON(content)
	case Dotenv:
		return parseDotenv(content)
	case INI:
		return parseINI(content)
	}
	return nil, fmt.Errorf("has the unknown format %q", format)
}

func emit(docs []document, format Format) ([]byte, error) {
	switch format {
	case YAML:
		return emitYAML(docs)
	case JSON:
		return emitJSON(docs)
	case Binary:
		return emitBinary(docs)
	case Dotenv:
		return emitDotenv(docs)
	case INI:
		return emitINI(docs)
	}
	return nil, errors.New("can't be written in an unknown format")
}

// secrets are the values that nobody may be shown.
func secrets(docs []document, found []opened) []string {
	isObject := slices.ContainsFunc(docs, func(doc document) bool {
		_, kind := doc.get("kind")
		_, version := doc.get("apiVersion")
		return kind && version
	})
	out := make([]string, 0, len(found))
	for _, o := range found {
		if isObject && slices.Contains([]string{"apiVersion", "kind", "metadata.name", "metadata.namespace"}, strings.Join(o.path, ".")) {
			continue
		}
		out = append(out, o.value)
	}
	return out
}
