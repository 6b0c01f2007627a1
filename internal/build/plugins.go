package build

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// namesFiles says whether a field of a built-in plugin names files.
func namesFiles(field string) bool {
	switch strings.ToLower(field) {
	case "files", "envs", "env", "path", "paths", "valuesfile", "targetfilepath", "argsfromfile":
		return true
	}
	return false
}

// plugins checks generators, transformers and validators. Those that run programs or
// containers are off in Kustomize itself; the built-in ones may name files, which must
// not be remote. So that what is checked is what runs, the configuration of a plugin
// must be inline or in a file, not the outcome of a kustomization.
func (i inspection) plugins(k *types.Kustomization) error {
	for field, configs := range map[string][]string{
		"generators": k.Generators, "transformers": k.Transformers, "validators": k.Validators,
	} {
		for _, c := range configs {
			if err := i.plugin(field, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i inspection) plugin(field, config string) error {
	if !isPath(config) {
		return i.pluginConfig(field, []byte(config))
	}
	if isRemote(config) {
		return i.remote(field, config)
	}
	actual, e, err := i.resolve(field, config)
	if err != nil {
		return err
	}
	switch e.kind {
	case kindAbsent:
		return i.missing(field, config)
	case kindDir:
		return i.refuse(config, fmt.Sprintf("%s: %s is a folder; name the plugin's own files instead", field, config))
	}
	content, err := i.v.read(actual, e)
	if err != nil {
		return err
	}
	return i.pluginConfig(field, content)
}

// isPath says whether a text is a path rather than YAML of its own.
func isPath(text string) bool {
	return !strings.ContainsAny(text, "\n{") && !strings.Contains(text, ": ")
}

func (i inspection) pluginConfig(field string, content []byte) error {
	if err := i.v.checkShape(i.file, content); err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc any
		if err := decoder.Decode(&doc); err != nil {
			return nil //nolint:nilerr // the end, or what Kustomize stops at
		}
		if err := i.pluginValue(field, doc, false); err != nil {
			return err
		}
	}
}

func (i inspection) pluginValue(field string, value any, isFile bool) error {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			if err := i.pluginValue(field, child, isFile || namesFiles(key)); err != nil {
				return err
			}
		}
	case map[any]any:
		for key, child := range value {
			if err := i.pluginValue(field, child, isFile || namesFiles(fmt.Sprint(key))); err != nil {
				return err
			}
		}
	case []any:
		for _, child := range value {
			if err := i.pluginValue(field, child, isFile); err != nil {
				return err
			}
		}
	case string:
		_, source, _ := strings.Cut(value, "=")
		if isFile && (isRemote(value) || isRemote(source)) {
			return i.remote(field, value)
		}
	}
	return nil
}
