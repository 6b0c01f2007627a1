package sops

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// macOnlyEncrypted begins the hash of files whose MAC covers what is encrypted only: the SHA-256 of "sops". It is part of the format.
const macOnlyEncrypted = "8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69"

// walk decrypts a file in place and adds up its MAC.
type walk struct {
	key     []byte
	rules   rules
	onlyEnc bool
	mac     hash.Hash
	opened  []opened
}

// opened is a value that was encrypted.
type opened struct {
	path  []string
	value string
}

func newWalk(key []byte, m metadata) *walk {
	w := &walk{key: key, rules: m.rules, onlyEnc: m.macOnlyEncrypted, mac: sha512.New()}
	if w.onlyEnc {
		start, _ := hex.DecodeString(macOnlyEncrypted) // a constant
		w.mac.Write(start)
	}
	return w
}

// verify compares what was hashed with what the file says.
func (w *walk) verify(m metadata) error {
	value, err := open(m.mac, w.key, m.lastModified)
	want, isText := value.(string)
	if err != nil || !isText || m.mac == "" {
		return ErrMAC
	}
	got := fmt.Sprintf("%X", w.mac.Sum(nil))
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return ErrMAC
	}
	return nil
}

func (w *walk) mapping(m mapping, path []string, comments [][]string) error {
	if len(path)+len(comments) > 2*maxDepth {
		return errTooDeep
	}
	comments = append(slices.Clip(comments), nil)
	level := &comments[len(comments)-1]
	for i, e := range m {
		if e.comment != nil {
			*level = append(*level, e.comment.text)
			m[i].comment = w.comment(e.comment, path, comments)
			continue
		}
		value, err := w.value(e.value, append(slices.Clip(path), e.key), comments)
		if err != nil {
			return err
		}
		m[i].value = value
		*level = nil
	}
	return nil
}

func (w *walk) list(l list, path []string, comments [][]string) error {
	if len(comments) > maxDepth {
		return errTooDeep
	}
	comments = append(slices.Clip(comments), nil)
	level := &comments[len(comments)-1]
	for i, v := range l {
		if c, ok := v.(*comment); ok {
			*level = append(*level, c.text)
			l[i] = w.comment(c, path, comments)
			continue
		}
		value, err := w.value(v, path, comments)
		if err != nil {
			return err
		}
		l[i] = value
		*level = nil
	}
	return nil
}

func (w *walk) value(v any, path []string, comments [][]string) (any, error) {
	switch v := v.(type) {
	case mapping:
		return v, w.mapping(v, path, comments)
	case list:
		return v, w.list(v, path, comments)
	case nil:
		return nil, nil
	}
	encrypted := w.rules.encrypted(path, comments, false)
	if encrypted {
		text, ok := v.(string)
		if !ok {
			return nil, at(path, errNoValue)
		}
		value, err := open(text, w.key, additional(path))
		if err != nil {
			return nil, at(path, err)
		}
		v = value
		w.note(path, value)
	}
	if _, ok := v.(*comment); ok { // in a list
		return v, nil
	}
	if w.onlyEnc && !encrypted {
		return v, nil
	}
	content, err := hashed(v)
	if err != nil {
		return nil, at(path, err)
	}
	w.mac.Write(content)
	return v, nil
}

// comment is left as it is when it can't be decrypted: older versions of sops did not encrypt comments.
func (w *walk) comment(c *comment, path []string, comments [][]string) *comment {
	if !w.rules.encrypted(path, comments, true) {
		return c
	}
	value, err := open(c.text, w.key, additional(path))
	if err != nil {
		return c
	}
	w.note(path, value)
	switch value := value.(type) {
	case *comment:
		return value
	case string:
		return &comment{text: value, inline: c.inline}
	}
	return c
}

func (w *walk) note(path []string, value any) {
	var text string
	if c, ok := value.(*comment); ok {
		text = c.text
	} else {
		text = plainText(value)
	}
	if text != "" {
		w.opened = append(w.opened, opened{slices.Clone(path), text})
	}
}

// additional is the additional data of the value at path.
func additional(path []string) string { return strings.Join(path, ":") + ":" }

func at(path []string, err error) error {
	return fmt.Errorf("the value at %s %w", strings.Join(path, "."), err)
}
