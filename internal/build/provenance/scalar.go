package provenance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// scalar is one value that somebody has written, and how to build with another one in its place.
type scalar struct {
	place Place
	text  string
	// rewrite gives the text of the whole file with another value there.
	rewrite func(value string) ([]byte, error)
}

// scalarsOf lists the values in a text of YAML. at is where they are, but for the line and the field.
func scalarsOf(content []byte, at Place) []scalar {
	var docs []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			break // the end; or what isn't YAML, of which nothing is known then
		}
		docs = append(docs, &doc)
	}
	encode := func() ([]byte, error) { return encodeAll(docs) }
	var found []scalar
	for _, doc := range docs {
		if len(doc.Content) == 1 {
			collect(doc.Content[0], nil, at, 0, encode, &found)
		}
	}
	return found
}

func encodeAll(docs []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for _, doc := range docs {
		if err := encoder.Encode(doc); err != nil {
			return nil, fmt.Errorf("write YAML: %w", err)
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// collect adds the values below n. above is what to add to a node's line, for YAML within YAML.
func collect(n *yaml.Node, path Path, at Place, above int, encode func() ([]byte, error), found *[]scalar) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			collect(n.Content[i+1], append(slices.Clone(path), n.Content[i].Value), at, above, encode, found)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			collect(child, append(slices.Clone(path), i), at, above, encode, found)
		}
	case yaml.ScalarNode:
		if inner := innerYAML(n.Value); inner != nil && at.Setting.holdsPatches() {
			collectInner(n, inner, path, at, above, encode, found)
			return
		}
		place := at
		place.Line, place.Field = n.Line+above, path
		*found = append(*found, scalar{place: place, text: n.Value, rewrite: func(value string) ([]byte, error) {
			was := n.Value
			n.Value = value
			defer func() { n.Value = was }()
			return encode()
		}})
	}
}

// innerYAML parses a value that is a text of YAML itself, as an inline patch is.
func innerYAML(text string) *yaml.Node {
	if !strings.Contains(text, "\n") && !strings.HasPrefix(strings.TrimSpace(text), "[") && !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode {
		return nil
	}
	return &doc
}

func collectInner(n, inner *yaml.Node, path Path, at Place, above int, encode func() ([]byte, error), found *[]scalar) {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		above += n.Line // the text begins in the line after the mark
	} else {
		above += n.Line - 1
	}
	collect(inner.Content[0], path, at, above, func() ([]byte, error) {
		text, err := encodeAll([]*yaml.Node{inner})
		if err != nil {
			return nil, err
		}
		was := n.Value
		n.Value = string(text)
		defer func() { n.Value = was }()
		return encode()
	}, found)
}

// linesOf lists the lines of a text that isn't YAML, as of the .env file of a generator, and the text as a whole.
func linesOf(content []byte, at Place) []scalar {
	whole := at
	whole.Line = 1
	found := []scalar{{place: whole, text: string(content), rewrite: func(value string) ([]byte, error) { return []byte(value), nil }}}
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "" || !strings.Contains(line, "=") {
			continue
		}
		place := at
		place.Line = i + 1
		found = append(found, scalar{place: place, text: line, rewrite: func(value string) ([]byte, error) {
			changed := slices.Clone(lines)
			changed[i] = value
			return []byte(strings.Join(changed, "\n")), nil
		}})
	}
	return found
}

// other gives a value of the same type that isn't text.
func other(text string) string {
	switch text {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n+1, 10)
	}
	if bare, ok := strings.CutSuffix(text, "\n"); ok {
		return bare + "x\n"
	}
	return text + "x"
}

// minPart is the length from which a text in another is taken for a part of it, in bytes.
const minPart = 3

// concerns reports whether a value that is written somewhere may have something to do with the field's.
func (s scalar) concerns(value string) bool {
	text := s.text
	switch {
	case text == "" || value == "":
		return false
	case text == value || strings.HasSuffix(text, "="+value) || decoded(value) == text || strings.HasSuffix(text, "="+decoded(value)):
		return true
	case len(text) >= minPart && strings.Contains(value, text):
		return true
	case len(value) >= minPart && s.place.Setting != SettingManifest && strings.Contains(text, value):
		return true
	default:
		return partOfNames(s.place.Field) && strings.Contains(value, text)
	}
}

// decoded is what a Secret's value stands for, or a text that nothing equals.
func decoded(value string) string {
	plain, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(plain) == 0 {
		return "\x00"
	}
	return string(plain)
}

// partOfNames says whether a kustomization's field is put together with others, so that a letter of it counts.
func partOfNames(path Path) bool {
	if len(path) == 0 {
		return false
	}
	last, _ := path[len(path)-1].(string)
	return slices.Contains([]string{"namePrefix", "nameSuffix", "newTag", "newName", "tagSuffix", "digest"}, last)
}
