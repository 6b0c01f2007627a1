package sops

import (
	"bytes"
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DecryptAnnotation with the value "disabled", keeps an object encrypted.
const DecryptAnnotation = "kustomize.toolkit.fluxcd.io/decrypt"

// DecryptManifests opens the encrypted objects in a file of manifests, and leaves the others as they are. A file that was encrypted as a
// whole is verified as a whole; one that was put together of encrypted files, each by itself. It returns nil where nothing is
// encrypted, or nothing may be decrypted.
func (k *Keys) DecryptManifests(content []byte, format Format) (plain *Plain, err error) {
	if format == JSON {
		return k.decryptObject(content)
	}
	if !bytes.Contains(content, []byte(metadataKey)) {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil { // see Decrypt
			plain, err = nil, errors.New("can't be read as YAML")
		}
	}()
	nodes, err := yamlNodes(content)
	if err != nil {
		if Encrypted(content, YAML) {
			return nil, err
		}
		return nil, nil //nolint:nilerr // whoever parses it next tells where it is wrong
	}
	out, changed := &Plain{}, false
	for start := 0; start < len(nodes); {
		end := start + 1
		for end < len(nodes) && macOf(nodes[end]) == macOf(nodes[start]) {
			end++
		}
		if macOf(nodes[start]) != "" {
			found, err := k.decryptNodes(nodes[start:end])
			if err != nil {
				return nil, err
			}
			out.Secrets = append(out.Secrets, found...)
			changed = changed || found != nil
		}
		start = end
	}
	if !changed {
		return nil, nil
	}
	out.Content, err = writeNodes(nodes)
	return out, err
}

// decryptNodes replaces the documents of one tree. It returns the secrets; nil: the documents are to stay as they are.
func (k *Keys) decryptNodes(nodes []*yaml.Node) ([]string, error) {
	docs := make([]document, len(nodes))
	var raw any
	for i, node := range nodes {
		doc, err := yamlDocument(node)
		if err != nil {
			return nil, err
		}
		if staysEncrypted(doc) {
			return nil, nil
		}
		docs[i], raw, _ = doc.without(metadataKey)
	}
	meta, err := parseMetadata(raw)
	if err != nil {
		return nil, err
	}
	found, err := k.decrypt(docs, meta)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		root, err := yamlNode(docs[i])
		if err != nil {
			return nil, err
		}
		nodes[i] = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	}
	return secrets(docs, found), nil
}

func (k *Keys) decryptObject(content []byte) (*Plain, error) {
	if !Encrypted(content, JSON) {
		return nil, nil
	}
	docs, err := parseJSON(content)
	if err != nil {
		return nil, err
	}
	if mac(docs[0]) == "" || staysEncrypted(docs[0]) {
		return nil, nil
	}
	return k.Decrypt(content, JSON, JSON)
}

// mac is what a document says of its integrity; empty: it is not encrypted.
func mac(doc document) string {
	meta, _ := doc.get(metadataKey)
	fields, _ := meta.(mapping)
	value, _ := fields.get("mac")
	text, _ := value.(string)
	return text
}

// macOf is mac before the document is read as one.
func macOf(node *yaml.Node) string {
	if len(node.Content) == 0 {
		return ""
	}
	mac := nodeAt(nodeAt(node.Content[0], metadataKey), "mac")
	if mac == nil || mac.Kind != yaml.ScalarNode {
		return ""
	}
	return mac.Value
}

func nodeAt(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func staysEncrypted(doc document) bool {
	meta, _ := doc.get("metadata")
	fields, _ := meta.(mapping)
	notes, _ := fields.get("annotations")
	all, _ := notes.(mapping)
	value, _ := all.get(DecryptAnnotation)
	text, _ := value.(string)
	return strings.EqualFold(text, "disabled")
}
