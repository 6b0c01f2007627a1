package wanted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// What a catalogue is called, and how large it may be.
const (
	catalogueKind = "Catalogue"
	// CatalogueFile is the name of the file, and the key in a ConfigMap.
	CatalogueFile = "catalogue.yaml"
	// MaxCatalogue is the size of the largest catalogue that is read, in bytes: what a ConfigMap has room for.
	MaxCatalogue = 1 << 20

	maxModules  = 10_000
	maxChannels = 64
	maxName     = 63
)

// Catalogue says which version of a module is wanted in which channel. The zero Catalogue says nothing.
type Catalogue struct {
	modules map[string]map[string]string
}

// ParseCatalogue reads a catalogue, strictly: a field that it doesn't have is an error, and so is a second document. What is wrong with the
// version of one module is no error here, as it is nobody else's business: [Choose] tells that module, and [Catalogue.Problems] all of them.
func ParseCatalogue(content []byte) (*Catalogue, error) {
	c, err := parseCatalogue(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CatalogueFile, err)
	}
	return c, nil
}

func parseCatalogue(content []byte) (*Catalogue, error) {
	if len(content) > MaxCatalogue {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are allowed: split it", len(content), MaxCatalogue)
	}
	if severalDocuments(content) {
		return nil, errors.New("it has several documents: put all modules into one")
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return nil, fmt.Errorf("it is no YAML: %w", err)
	}
	var file struct {
		APIVersion string                                `json:"apiVersion"`
		Kind       string                                `json:"kind"`
		Modules    map[string]map[string]json.RawMessage `json:"modules"`
	}
	problems, err := kjson.UnmarshalStrict(asJSON, &file)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("it is no catalogue: %w", err)
	}
	if want := v1alpha1.GroupVersion.String(); file.APIVersion != want || file.Kind != catalogueKind {
		return nil, fmt.Errorf("it is a %q of %q: write \"kind: %s\" and \"apiVersion: %s\"", shortened(file.Kind), shortened(file.APIVersion), catalogueKind, want)
	}
	if len(file.Modules) > maxModules {
		return nil, fmt.Errorf("it has %d modules, and at most %d are allowed: split it", len(file.Modules), maxModules)
	}
	c := &Catalogue{modules: make(map[string]map[string]string, len(file.Modules))}
	for _, module := range slices.Sorted(maps.Keys(file.Modules)) {
		channels := file.Modules[module]
		if module == "" || len(module) > maxName {
			return nil, fmt.Errorf("%q is no name of a module: it has from 1 to %d characters", shortened(module), maxName)
		}
		if len(channels) > maxChannels {
			return nil, fmt.Errorf("module %s has %d channels, and at most %d are allowed", module, len(channels), maxChannels)
		}
		c.modules[module] = make(map[string]string, len(channels))
		for channel, version := range channels {
			if channel == "" || len(channel) > maxName {
				return nil, fmt.Errorf("module %s: %q is no name of a channel: it has from 1 to %d characters", module, shortened(channel), maxName)
			}
			c.modules[module][channel] = textOf(version)
		}
	}
	return c, nil
}

// severalDocuments says whether there is a document after the first. A "---" at the beginning of a line is nothing else in YAML.
func severalDocuments(content []byte) bool {
	began := false
	for line := range bytes.Lines(content) {
		text := bytes.TrimSpace(line)
		switch {
		case bytes.HasPrefix(line, []byte("---")):
			if began {
				return true
			}
			began = len(bytes.TrimSpace(text[len("---"):])) > 0
		case len(text) > 0 && text[0] != '#' && text[0] != '%':
			began = true
		}
	}
	return false
}

// textOf is a version as it is written. What isn't text, such as the number 1.1 that YAML makes of 1.10, is no version either.
func textOf(version json.RawMessage) string {
	var text string
	if err := json.Unmarshal(version, &text); err == nil && string(version) != "null" {
		return strings.ToValidUTF8(text[:min(len(text), maxVersion+1)], "")
	}
	return shortened(string(version))
}

// Version is what the catalogue says of a module in a channel, as it is written there. False: nothing; [Catalogue.Missing] says it in words.
func (c *Catalogue) Version(module, channel string) (string, bool) {
	if c == nil {
		return "", false
	}
	version, ok := c.modules[module][channel]
	return version, ok
}

// Missing says why there is no version, and what to do about it.
func (c *Catalogue) Missing(module, channel string) string {
	if c == nil || len(c.modules[module]) == 0 {
		return fmt.Sprintf("the catalogue doesn't have module %s: add it, or remove spec.catalogue", module)
	}
	return fmt.Sprintf("the catalogue has no channel %s for module %s, but %s: add it, or correct spec.catalogue.channel", channel, module, enumerated(slices.Sorted(maps.Keys(c.modules[module]))))
}

// Problems lists the versions that are none.
func (c *Catalogue) Problems() []string {
	var all []string
	for _, module := range slices.Sorted(maps.Keys(c.modules)) {
		for _, channel := range slices.Sorted(maps.Keys(c.modules[module])) {
			if version := c.modules[module][channel]; version == "" {
				all = append(all, fmt.Sprintf("modules.%s.%s is empty: write a version", module, channel))
			} else if _, err := parse(version); err != nil {
				all = append(all, fmt.Sprintf("modules.%s.%s is %q: %s; put it into quotes", module, channel, shortened(version), err))
			}
		}
	}
	return all
}

// enumerated writes names for people, not too many of them.
func enumerated(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
