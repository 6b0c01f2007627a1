package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

// Release is what templates learn of where the chart is to run.
type Release struct {
	// Name is .Release.Name.
	Name string
	// Namespace is .Release.Namespace.
	Namespace string
	// KubeVersion is .Capabilities.KubeVersion, such as v1.36.2. Default: that of the libraries that this was built with.
	KubeVersion string
	// APIVersions are .Capabilities.APIVersions, such as apps/v1 and apps/v1/Deployment. Default: those of Kubernetes itself.
	APIVersions []string
	// Now is what templates take for the time. Default: 1970.
	Now time.Time
	// Check holds the values of the chart and of each subchart against its JSON schema. Default: they aren't checked.
	Check func(chart string, schema []byte, values map[string]any) error
}

// Document is what one template wrote, or one file of definitions.
type Document struct {
	// File is its path in the chart, the chart's name included.
	File string
	// Text is YAML, of any number of objects.
	Text string
	// Random is a function that the template has called and that gives something else each time: the text is another one the next time.
	// Empty for none.
	Random string
}

// Rendered is what a chart gives.
type Rendered struct {
	// Definitions are the files of its folders crds/, which are no templates.
	Definitions []Document
	// Documents are what its templates wrote, without those that wrote nothing.
	Documents []Document
}

// Render lays values over the chart's own and executes the templates of it and of the subcharts that are enabled, as 'helm template
// --include-crds' does. Errors are *[Error], that of Release.Check, or the context's.
func (c *Chart) Render(ctx context.Context, values map[string]any, r Release) (_ *Rendered, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = failf("", "the chart can't be rendered: Helm's libraries gave up with an internal error (%T)", p)
		}
	}()
	values, err = plain(values)
	if err != nil {
		return nil, err
	}
	if err := mismatch(c.root, values, "values"); err != nil {
		return nil, err
	}
	capabilities, err := r.capabilities()
	if err != nil {
		return nil, err
	}
	if wants := c.KubeVersion(); wants != "" && !chartutil.IsCompatibleRange(wants, capabilities.KubeVersion.String()) {
		return nil, failf("Chart.yaml", "the chart needs Kubernetes %s, and this is %s: take a version of it that works with this one", wants, capabilities.KubeVersion.Version)
	}
	if err := chartutil.ProcessDependencies(c.root, values); err != nil {
		return nil, &Error{File: "Chart.yaml", Message: fmt.Sprintf("the subcharts can't be worked out: %v", err), Err: err}
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}
	top, err := commonutil.ToRenderValuesWithSchemaValidation(c.root, values, release, capabilities, true)
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("the values don't fit the chart: %v", err), Err: err}
	}
	if r.Check != nil {
		if err := check(c.root, top["Values"], r.Check); err != nil {
			return nil, err
		}
	}
	sources := map[string]source{}
	if err := collect(c.root, top, sources); err != nil {
		return nil, err
	}
	written, err := execute(ctx, sources, r.Now, c.steps)
	if err != nil {
		return nil, err
	}
	return c.rendered(written), nil
}

func (c *Chart) rendered(written map[string]output) *Rendered {
	out := &Rendered{}
	for _, d := range c.root.CRDObjects() {
		out.Definitions = append(out.Definitions, Document{File: d.Filename, Text: string(d.File.Data)})
	}
	for file, w := range written {
		if strings.TrimSpace(w.text) == "" || strings.EqualFold(path.Base(file), "NOTES.txt") {
			continue
		}
		out.Documents = append(out.Documents, Document{File: file, Text: w.text, Random: w.random})
	}
	for _, all := range [][]Document{out.Definitions, out.Documents} {
		slices.SortFunc(all, func(a, b Document) int { return strings.Compare(a.File, b.File) })
	}
	return out
}

// plain gives values the types that Helm reads from YAML: numbers are float64.
func plain(values map[string]any) (map[string]any, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return nil, &Error{Message: "the values are no JSON", Err: err}
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, &Error{Message: "the values are no JSON", Err: err}
	}
	if out == nil {
		out = map[string]any{}
	}
	return out, nil
}

// mismatch refuses settings of subcharts that are no tables, and global ones that are a table in one place and a text in another. Helm
// takes one of the two then, and writes the other, which may be secret, into its log.
func mismatch(c *chartv2.Chart, values map[string]any, at string) error {
	for _, sub := range c.Dependencies() {
		here := at + "." + sub.Name()
		below, isTable := values[sub.Name()].(map[string]any)
		if values[sub.Name()] != nil && !isTable {
			return failf("", "%s: it has to be a table: it is the settings of the subchart", here)
		}
		own, _ := below[common.GlobalKey].(map[string]any)
		for _, above := range []any{c.Values[common.GlobalKey], values[common.GlobalKey]} {
			global, _ := above.(map[string]any)
			if err := clash(global, own, here+"."+common.GlobalKey); err != nil {
				return err
			}
		}
		if err := mismatch(sub, below, here); err != nil {
			return err
		}
	}
	return nil
}

func clash(one, other map[string]any, at string) error {
	for key, a := range one {
		b := other[key]
		if a == nil || b == nil {
			continue
		}
		above, isTable := a.(map[string]any)
		below, wasTable := b.(map[string]any)
		if isTable != wasTable {
			return failf("", "%s.%s: it is a table here and a single setting above, or the other way round", at, key)
		}
		if err := clash(above, below, at+"."+key); err != nil {
			return err
		}
	}
	return nil
}

func (r Release) capabilities() (*common.Capabilities, error) {
	out := common.DefaultCapabilities.Copy()
	if r.KubeVersion != "" {
		version, err := common.ParseKubeVersion(r.KubeVersion)
		if err != nil {
			return nil, failf("", "%.100q is no version of Kubernetes", r.KubeVersion)
		}
		out.KubeVersion = *version
	}
	if r.APIVersions != nil {
		out.APIVersions = r.APIVersions
	}
	return out, nil
}

// complete says which subcharts the chart wants and doesn't have.
func (c *Chart) complete() error {
	for _, d := range c.root.Metadata.Dependencies {
		if !slices.ContainsFunc(c.root.Dependencies(), func(sub *chartv2.Chart) bool { return sub.Name() == d.Name }) {
			return failf("Chart.yaml", "the subchart %s isn't in charts/: run 'helm dependency build' before the chart is packed", d.Name)
		}
	}
	return nil
}

// check calls back for each chart that has a schema.
func check(c *chartv2.Chart, values any, call func(string, []byte, map[string]any) error) error {
	table, ok := values.(map[string]any)
	if v, is := values.(common.Values); is {
		table, ok = v, true
	}
	if !ok {
		return nil
	}
	if len(c.Schema) > 0 {
		if err := call(c.ChartFullPath(), c.Schema, table); err != nil {
			return err
		}
	}
	for _, sub := range c.Dependencies() {
		if err := check(sub, table[sub.Name()], call); err != nil {
			return err
		}
	}
	return nil
}

// collect finds the templates of a chart and its subcharts, and gives each what Helm's know: its own part of the values as .Values.
func collect(c *chartv2.Chart, top map[string]any, sources map[string]source) error {
	_, err := scope(c, top, top["Values"], sources)
	return err
}

func scope(c *chartv2.Chart, top map[string]any, values any, sources map[string]source) (map[string]any, error) {
	access, err := chart.NewAccessor(c)
	if err != nil {
		return nil, &Error{Message: err.Error(), Err: err}
	}
	about := access.MetadataAsMap()
	about["IsRoot"] = c.IsRoot()
	subcharts := map[string]any{}
	data := map[string]any{
		"Chart": about, "Files": filesOf(c.Files), "Release": top["Release"], "Capabilities": top["Capabilities"],
		"Values": values, "Subcharts": subcharts,
	}
	table, _ := common.Values(data).Table("Values")
	for _, sub := range c.Dependencies() {
		var own any = common.Values{}
		if found, err := table.Table(sub.Name()); err == nil {
			own = found
		}
		if subcharts[sub.Name()], err = scope(sub, top, own, sources); err != nil {
			return nil, err
		}
	}
	base := c.ChartFullPath()
	for _, t := range c.Templates {
		if t == nil || access.IsLibraryChart() && !strings.HasPrefix(path.Base(t.Name), "_") {
			continue
		}
		sources[path.Join(base, t.Name)] = source{text: string(t.Data), data: data, base: path.Join(base, "templates")}
	}
	return data, nil
}
