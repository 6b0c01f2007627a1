package sops

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/ini.v1"
)

// flatPrefix begins the keys of metadata in dotenv files.
const flatPrefix = metadataKey + "_"

func parseDotenv(content []byte) ([]document, error) {
	var doc document
	for i, line := range strings.Split(string(content), "\n") {
		if line == "" {
			continue
		}
		if line[0] == '#' {
			doc = append(doc, entry{comment: &comment{text: line[1:]}})
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: is not KEY=value", i+1)
		}
		doc = append(doc, entry{key: key, value: strings.ReplaceAll(value, `\n`, "\n")})
	}
	return []document{doc}, nil
}

// flatMetadata takes the metadata out of a dotenv file.
func flatMetadata(doc document) (rest document, meta mapping) {
	for _, e := range doc {
		if name, ok := strings.CutPrefix(e.key, flatPrefix); ok && e.comment == nil {
			meta = append(meta, entry{key: name, value: e.value})
		} else {
			rest = append(rest, e)
		}
	}
	return rest, meta
}

func emitDotenv(docs []document) ([]byte, error) {
	var out bytes.Buffer
	if len(docs) == 0 {
		return nil, nil
	}
	for _, e := range docs[0] {
		if e.comment != nil {
			fmt.Fprintf(&out, "#%s\n", e.comment.text)
			continue
		}
		switch e.value.(type) {
		case mapping, list:
			return nil, fmt.Errorf("the value at %s has structure, which can't be written as dotenv", e.key)
		}
		text := plainText(e.value)
		if _, ok := e.value.(string); ok {
			text = strings.ReplaceAll(text, "\n", `\n`)
		}
		fmt.Fprintf(&out, "%s=%s\n", e.key, text)
	}
	return out.Bytes(), nil
}

func parseINI(content []byte) ([]document, error) {
	file, err := ini.LoadSources(ini.LoadOptions{AllowNonUniqueSections: true}, content)
	if err != nil {
		return nil, errors.New("is not a valid INI file") // the cause may quote it
	}
	var doc document
	for _, section := range file.Sections() {
		var m mapping
		if section.Comment != "" {
			m = append(m, entry{comment: &comment{text: iniComment(section.Comment)}})
		}
		for _, key := range section.Keys() {
			m = append(m, entry{key: key.Name(), value: key.Value()})
			if key.Comment != "" {
				m = append(m, entry{comment: &comment{text: iniComment(key.Comment)}})
			}
		}
		doc = append(doc, entry{key: section.Name(), value: m})
	}
	return []document{doc}, nil
}

func iniComment(text string) string {
	for _, mark := range []string{";", "#"} {
		if strings.HasPrefix(text, mark) {
			return strings.TrimLeft(text, mark+" ")
		}
	}
	return text
}

// iniMetadata gives the section of metadata its structure back.
func iniMetadata(section any) (mapping, error) {
	flat, ok := section.(mapping)
	if !ok {
		return nil, ErrNotEncrypted
	}
	for i, e := range flat {
		if text, ok := e.value.(string); ok {
			flat[i].value = strings.ReplaceAll(text, `\n`, "\n")
		}
	}
	return unflatten(flat)
}

func emitINI(docs []document) ([]byte, error) {
	failed := errors.New("can't be written as INI")
	file := ini.Empty(ini.LoadOptions{AllowNonUniqueSections: true})
	file.DeleteSection(ini.DefaultSection)
	for _, doc := range docs {
		for _, e := range doc {
			if e.comment != nil {
				continue
			}
			m, ok := e.value.(mapping)
			if !ok {
				return nil, fmt.Errorf("%s is not a section, and can't be written as INI", e.key)
			}
			section, err := file.NewSection(e.key)
			if err != nil {
				return nil, failed
			}
			if err := fillSection(section, m); err != nil {
				return nil, failed
			}
		}
	}
	var out bytes.Buffer
	if _, err := file.WriteTo(&out); err != nil {
		return nil, failed
	}
	return out.Bytes(), nil
}

func fillSection(section *ini.Section, m mapping) error {
	var last *ini.Key
	for i, e := range m {
		switch {
		case e.comment != nil && i == 0:
			section.Comment = e.comment.text
		case e.comment != nil && last != nil:
			last.Comment = e.comment.text
		case e.comment != nil:
		default:
			key, err := section.NewKey(e.key, plainText(e.value))
			if err != nil {
				return err
			}
			last = key
		}
	}
	return nil
}

// plainText is a value in a format that has no types.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		text := strconv.FormatFloat(v, 'G', -1, 64)
		if !strings.ContainsAny(text, ".E") { // not to be taken for a whole number
			text = strconv.FormatFloat(v, 'f', 1, 64)
		}
		return text
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}
