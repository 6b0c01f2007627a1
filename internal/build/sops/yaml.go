package sops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlIndent is what sops writes.
const yamlIndent = 4

func parseYAML(content []byte) ([]document, error) {
	nodes, err := yamlNodes(content)
	if err != nil {
		return nil, err
	}
	docs := make([]document, len(nodes))
	for i, node := range nodes {
		if docs[i], err = yamlDocument(node); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

func yamlNodes(content []byte) ([]*yaml.Node, error) {
	var nodes []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		node := &yaml.Node{}
		err := decoder.Decode(node)
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, errors.New("is not valid YAML") // the cause may quote it
		}
		nodes = append(nodes, node)
	}
}

func yamlDocument(node *yaml.Node) (document, error) {
	doc := yamlComments(nil, node.HeadComment, false)
	doc = yamlComments(doc, node.LineComment, false)
	for _, root := range node.Content {
		switch {
		case root.Kind == yaml.MappingNode:
			m, err := yamlMapping(root, true, 0)
			if err != nil {
				return nil, err
			}
			doc = append(doc, m...)
		case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
			doc = yamlComments(doc, root.HeadComment, false)
			doc = yamlComments(doc, root.LineComment, false)
			doc = yamlComments(doc, root.FootComment, false)
		default:
			return nil, errors.New("has a document that is not a mapping")
		}
	}
	return yamlComments(doc, node.FootComment, false), nil
}

// yamlComments appends the lines of a comment.
func yamlComments(m mapping, text string, inline bool) mapping {
	for _, line := range commentLines(text) {
		m = append(m, entry{comment: &comment{text: line, inline: inline}})
	}
	return m
}

func commentLines(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			out = append(out, line[1:])
		}
	}
	return out
}

// yamlMapping reads a mapping. own: the comments of the node itself are still to be taken.
func yamlMapping(node *yaml.Node, own bool, depth int) (mapping, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	m := mapping{}
	if own {
		m = yamlComments(m, node.HeadComment, false)
		m = yamlComments(m, node.LineComment, false)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			return nil, fmt.Errorf("line %d: a key is not text; put quotes around it", key.Line)
		}
		if seen[key.Value] {
			return nil, fmt.Errorf("line %d: the key %q is there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		m = yamlComments(m, key.HeadComment, false)
		m = yamlComments(m, key.LineComment, false)
		isScalar := value.Kind == yaml.ScalarNode
		if isScalar {
			m = yamlComments(m, value.HeadComment, false)
			m = yamlComments(m, value.LineComment, true)
		}
		v, err := yamlValue(value, !isScalar, depth+1)
		if err != nil {
			return nil, err
		}
		m = append(m, entry{key: key.Value, value: v})
		if isScalar {
			m = yamlComments(m, value.FootComment, false)
		}
		m = yamlComments(m, key.FootComment, false)
	}
	if own {
		m = yamlComments(m, node.FootComment, false)
	}
	return m, nil
}

func yamlValue(node *yaml.Node, own bool, depth int) (any, error) {
	switch node.Kind {
	case yaml.MappingNode:
		return yamlMapping(node, own, depth)
	case yaml.SequenceNode:
		return yamlList(node, own, depth)
	case yaml.ScalarNode:
		var v any
		if err := node.Decode(&v); err != nil {
			return nil, fmt.Errorf("line %d: the value doesn't fit its tag", node.Line)
		}
		return v, nil
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: there is a YAML alias, which sops never writes; write the value out and encrypt the file again", node.Line)
	}
	return nil, nil
}

func yamlList(node *yaml.Node, own bool, depth int) (list, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	l := list{}
	add := func(text string, inline bool) {
		for _, line := range commentLines(text) {
			l = append(l, &comment{text: line, inline: inline})
		}
	}
	if own {
		add(node.HeadComment, false)
		add(node.LineComment, false)
	}
	for _, item := range node.Content {
		add(item.HeadComment, false)
		add(item.LineComment, true)
		v, err := yamlValue(item, false, depth+1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		add(item.FootComment, false)
	}
	if own {
		add(node.FootComment, false)
	}
	return l, nil
}

func emitYAML(docs []document) ([]byte, error) {
	nodes := make([]*yaml.Node, len(docs))
	for i, doc := range docs {
		root, err := yamlNode(doc)
		if err != nil {
			return nil, err
		}
		nodes[i] = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	}
	return writeNodes(nodes)
}

func writeNodes(nodes []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(yamlIndent)
	for _, node := range nodes {
		if err := encoder.Encode(node); err != nil {
			return nil, errors.New("can't be written as YAML")
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, errors.New("can't be written as YAML")
	}
	return out.Bytes(), nil
}

func yamlNode(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case mapping:
		return yamlOfMapping(v)
	case list:
		return yamlOfList(v)
	case *comment:
		v = &comment{}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: v.text}, nil
	}
	node := &yaml.Node{}
	if err := node.Encode(v); err != nil {
		return nil, errors.New("can't be written as YAML")
	}
	return node, nil
}

// pending are comments that wait for the node they belong to.
type pending struct{ head, inline []string }

func (p *pending) take(c *comment) {
	if c.inline {
		p.inline = append(p.inline, c.text)
	} else {
		p.head = append(p.head, c.text)
	}
}

// asComment joins lines, and before them what the node has already.
func asComment(lines []string, have string, before bool) string {
	if len(lines) == 0 {
		return have
	}
	text := "#" + strings.Join(lines, "\n#")
	switch {
	case have == "":
		return text
	case before:
		return text + "\n" + have
	}
	return have + "\n" + text
}

// onto puts the comments that came before the first entry above all of it, and others on their entry.
func (p *pending) onto(parent, head, line *yaml.Node, first bool) {
	if first {
		parent.HeadComment = asComment(p.head, parent.HeadComment, true)
		p.head = nil
	}
	head.HeadComment = asComment(p.head, head.HeadComment, true)
	line.LineComment = asComment(p.inline, line.LineComment, false)
	p.head, p.inline = nil, nil
}

// rest puts what is left below the last entry.
func (p *pending) rest(parent, last *yaml.Node) {
	lines := append(p.head, p.inline...)
	if last == nil {
		parent.HeadComment = asComment(lines, parent.HeadComment, true)
		return
	}
	last.FootComment = asComment(lines, last.FootComment, false)
}

func yamlOfMapping(m mapping) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	var p pending
	var last *yaml.Node
	for _, e := range m {
		if e.comment != nil {
			p.take(e.comment)
			continue
		}
		key, err := yamlNode(e.key)
		if err != nil {
			return nil, err
		}
		value, err := yamlNode(e.value)
		if err != nil {
			return nil, err
		}
		p.onto(node, key, value, last == nil)
		node.Content = append(node.Content, key, value)
		last = key
	}
	p.rest(node, last)
	return node, nil
}

func yamlOfList(l list) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.SequenceNode}
	var p pending
	var last *yaml.Node
	for _, v := range l {
		if c, ok := v.(*comment); ok {
			p.take(c)
			continue
		}
		item, err := yamlNode(v)
		if err != nil {
			return nil, err
		}
		p.onto(node, item, item, last == nil)
		node.Content = append(node.Content, item)
		last = item
	}
	p.rest(node, last)
	return node, nil
}
