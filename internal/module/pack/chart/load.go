package chart

import (
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// File is a file of a chart, by its path from where Chart.yaml is.
type File struct {
	Name string
	Data []byte
}

// Chart is a Helm chart with its subcharts. Rendering uses it up.
type Chart struct {
	root *chartv2.Chart
	// steps is how many its templates may take.
	steps int
}

// Load reads a chart. Subcharts below charts/ must be folders: see [Packed]. Errors are *[Error].
func Load(all []File) (*Chart, error) {
	buffered := make([]*archive.BufferedFile, 0, len(all))
	for _, f := range all {
		if _, packed := Packed(f.Name); packed {
			return nil, failf(f.Name, "it is a packed chart, which must be unpacked first")
		}
		buffered = append(buffered, &archive.BufferedFile{Name: f.Name, Data: f.Data})
	}
	root, err := load(buffered)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(root.Metadata.Type, "library") {
		return nil, failf("Chart.yaml", "it is a library for other charts and has nothing to install")
	}
	return &Chart{root: root, steps: maxSteps}, nil
}

// load calls Helm's loader, which wasn't made for files that are broken on purpose.
func load(all []*archive.BufferedFile) (root *chartv2.Chart, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, failf("", "the chart can't be read: Helm's loader gave up with an internal error (%T)", p)
		}
	}()
	if root, err = loader.LoadFiles(all); err != nil {
		return nil, &Error{Message: fmt.Sprintf("the chart can't be read: %v", err), Err: err}
	}
	for _, sub := range append([]*chartv2.Chart{root}, below(root)...) {
		if v := sub.Metadata.APIVersion; v != chartv2.APIVersionV1 && v != chartv2.APIVersionV2 {
			return nil, failf("Chart.yaml", "the chart %s has the apiVersion %.20q; v1 and v2 are known", sub.Name(), v)
		}
	}
	return root, nil
}

func below(c *chartv2.Chart) []*chartv2.Chart {
	var all []*chartv2.Chart
	for _, sub := range c.Dependencies() {
		all = append(append(all, sub), below(sub)...)
	}
	return all
}

// Packed says whether a file is a packed subchart, and where its files belong.
func Packed(name string) (folder string, packed bool) {
	dir, base := path.Split(name)
	if path.Ext(base) != ".tgz" || path.Base(dir) != "charts" || strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
		return "", false
	}
	return dir + strings.TrimSuffix(base, ".tgz"), true
}

// MaxNesting is how many packed charts may be in each other.
const MaxNesting = 8

// Name of the chart.
func (c *Chart) Name() string { return c.root.Metadata.Name }

// Version of the chart.
func (c *Chart) Version() string { return c.root.Metadata.Version }

// Description of the chart, for people.
func (c *Chart) Description() string { return c.root.Metadata.Description }

// KubeVersion is the range of Kubernetes' versions that it works with; empty for any.
func (c *Chart) KubeVersion() string { return c.root.Metadata.KubeVersion }

// Values are its defaults.
func (c *Chart) Values() map[string]any { return c.root.Values }
