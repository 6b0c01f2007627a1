package build

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/build/sops"
)

// explain turns what went wrong into an *Error that names the file and, where it can,
// the line. It may read and parse again: a failing build has time.
func (v *view) explain(err error) error {
	if ctxErr := v.ctx.Err(); ctxErr != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return fmt.Errorf("build: %w", ctxErr)
	}
	var known *Error
	if !errors.As(err, &known) {
		known = v.diagnose(err)
	} else if known.Object != "" && known.Reason == ReasonBuildFailed {
		if e := v.brokenManifest(); e != nil { // the file says more than the object that came of it
			known = e
		}
	}
	known.Message = v.redact(known.Message)
	if !v.decrypted.Empty() {
		known.Err = nil // it may quote what was decrypted
	}
	known.Reads = v.reads()
	return known
}

// diagnose looks for the file that made Kustomize fail.
func (v *view) diagnose(cause error) *Error {
	if e := v.brokenKustomization(); e != nil {
		e.Err = cause
		return e
	}
	if e := v.brokenManifest(); e != nil {
		e.Err = cause
		return e
	}
	return v.translate(cause)
}

func (v *view) brokenManifest() *Error {
	for _, file := range v.manifests {
		e := brokenManifest(file, v.shown(file))
		if e == nil {
			continue
		}
		if v.decryption != nil && v.decryption.plain[file] != nil {
			e.Line = 0 // nobody sees the lines of the decrypted file
		}
		return e
	}
	return nil
}

func (v *view) brokenKustomization() *Error {
	content, ok := v.contents[v.lastKustomization]
	if !ok {
		return nil
	}
	var k types.Kustomization
	if err := k.Unmarshal(content); err != nil {
		return malformedKustomization(v.lastKustomization, content, err)
	}
	return nil
}

func malformedKustomization(file string, content []byte, err error) *Error {
	e := &Error{Reason: ReasonBuildFailed, File: file, Line: lineIn(err.Error()), Err: err}
	e.Message = "is not a valid kustomization: " + tidy(strings.TrimPrefix(err.Error(), "invalid Kustomization: "))
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		e.Message = fmt.Sprintf("is not a valid kustomization: there is no field %q; correct its name, or remove it", m[1])
		e.Line = lineOf(content, m[1])
	}
	return e
}

// brokenManifest says what is wrong with a file of manifests, if something is.
func brokenManifest(file string, content []byte) *Error {
	e := &Error{Reason: ReasonBuildFailed, File: file}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if err != nil && !errors.Is(err, io.EOF) {
			return invalidYAML(e, err)
		}
		if err != nil {
			break
		}
		var value any
		if err := doc.Decode(&value); err != nil { // keys that are there twice
			return invalidYAML(e, err)
		}
		if missing := missingIdentity(&doc); missing != "" {
			e.Line = firstLine(&doc)
			e.Message = missing
			return e
		}
	}
	if _, err := provider.NewDefaultDepProvider().GetResourceFactory().SliceFromBytes(content); err != nil {
		e.Message = "is not a Kubernetes manifest: " + tidy(err.Error())
		return e
	}
	return nil
}

// invalidYAML fills e from an error of the YAML parser, which is about syntax and keys
// and quotes no values.
func invalidYAML(e *Error, err error) *Error {
	message := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:")
	e.Line = lineIn(message)
	message, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	e.Message = "is not valid YAML: " + tidy(strings.Replace(message, lineNumber.FindString(message), "", 1))
	return e
}

// missingIdentity says which of the fields that every object needs is not there.
func missingIdentity(doc *yaml.Node) string {
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		doc = doc.Content[0]
	}
	if doc.Kind == yaml.ScalarNode && doc.Tag == "!!null" {
		return ""
	}
	if doc.Kind != yaml.MappingNode {
		return "is not a Kubernetes object; remove it from the path that is built, or from the resources"
	}
	kind := field(doc, "kind")
	switch {
	case kind == nil || kind.Value == "":
		return "an object has no kind; add it, or remove the file from the path that is built"
	case strings.HasSuffix(kind.Value, "List") && field(doc, "items") != nil:
		return ""
	}
	if av := field(doc, "apiVersion"); av == nil || av.Value == "" {
		return fmt.Sprintf("a %s has no apiVersion; add it", kind.Value)
	}
	metadata := field(doc, "metadata")
	if name := field(metadata, "name"); name == nil || name.Value == "" {
		if field(metadata, "generateName") != nil {
			return fmt.Sprintf("a %s has generateName; what is in Git needs a fixed metadata.name to be found again", kind.Value)
		}
		return fmt.Sprintf("a %s has no metadata.name; add it", kind.Value)
	}
	return ""
}

func field(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func firstLine(doc *yaml.Node) int {
	if len(doc.Content) > 0 {
		return doc.Content[0].Line
	}
	return doc.Line
}

var (
	lineNumber   = regexp.MustCompile(`line (\d+):? ?`)
	unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)
	// quotes are the places where Kustomize's messages go on to quote an object.
	quotes = regexp.MustCompile(`(?s)(in object|in file content|value:|with config:|: \{).*`)
)

func lineIn(message string) int {
	m := lineNumber.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	line, _ := strconv.Atoi(m[1])
	return line
}

func lineOf(content []byte, text string) int {
	at := bytes.Index(content, []byte(text))
	if at < 0 {
		return 0
	}
	return 1 + bytes.Count(content[:at], []byte("\n"))
}

// maxMessage is where a message from Kustomize is cut, in bytes.
const maxMessage = 600

// tidy makes a message of Kustomize fit for a condition: paths as in the tree, on one
// line, no quoted objects, not too long.
func tidy(message string) string {
	message = strings.ReplaceAll(message, mount+"/", "")
	message = strings.ReplaceAll(message, mount, ".")
	message = quotes.ReplaceAllString(message, "$1 …")
	message = strings.Join(strings.Fields(message), " ")
	message = strings.TrimSuffix(message, ": { …")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// redact takes the values of Secrets, as far as the build has seen them, out of a message.
func (v *view) redact(message string) string {
	values := slices.Clone(v.secrets)
	for _, file := range v.manifests {
		values = append(values, secretValues(v.shown(file))...)
	}
	values = slices.DeleteFunc(values, func(value string) bool {
		return strings.Contains(path.Clean(v.lastKustomization), value) || isEncryptedFile(value)
	})
	return mask.Of(values...).Hide(message)
}

// isEncryptedFile says whether a value of a Secret is no secret, but a file that is
// encrypted: its metadata is what messages speak of.
func isEncryptedFile(value string) bool {
	content := []byte(value)
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil {
		content = plain
	}
	_, ok := sops.Detect(content)
	return ok
}

func secretValues(content []byte) []string {
	if !bytes.Contains(content, []byte("Secret")) {
		return nil
	}
	var values []string
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil || len(doc.Content) == 0 {
			return values
		}
		if kind := field(doc.Content[0], "kind"); kind == nil || kind.Value != "Secret" {
			continue
		}
		for _, name := range []string{"data", "stringData"} {
			data := field(doc.Content[0], name)
			for i := 1; data != nil && i < len(data.Content); i += 2 {
				values = append(values, data.Content[i].Value)
			}
		}
	}
}
