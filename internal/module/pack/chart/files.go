package chart

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"helm.sh/helm/v4/pkg/chart/common"
)

// files are what templates know as .Files: what is in a chart besides templates. Names of methods are Helm's.
type files map[string][]byte

func filesOf(all []*common.File) files {
	f := make(files, len(all))
	for _, one := range all {
		f[one.Name] = one.Data
	}
	return f
}

// GetBytes gives the content of a file; nothing, where it isn't there.
func (f files) GetBytes(name string) []byte {
	if content, ok := f[name]; ok {
		return content
	}
	return []byte{}
}

// Get gives the content of a file as text.
func (f files) Get(name string) string { return string(f.GetBytes(name)) }

// Glob gives the files whose path fits a pattern; all of them, where that is no pattern.
func (f files) Glob(pattern string) files {
	fits, err := glob.Compile(pattern, '/')
	if err != nil {
		fits = glob.MustCompile("**")
	}
	found := files{}
	for name, content := range f {
		if fits.Match(name) {
			found[name] = content
		}
	}
	return found
}

// AsConfig writes the files as the data of a ConfigMap.
func (f files) AsConfig() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = string(content)
	}
	return f.yaml(data)
}

// AsSecrets writes the files as the data of a Secret.
func (f files) AsSecrets() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = base64.StdEncoding.EncodeToString(content)
	}
	return f.yaml(data)
}

func (f files) yaml(data map[string]string) string {
	if f == nil {
		return ""
	}
	text, err := toYAML(data)
	if err != nil {
		return ""
	}
	return text
}

// Lines gives a file line by line.
func (f files) Lines(name string) []string {
	content, ok := f[name]
	if !ok || len(content) == 0 {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}
