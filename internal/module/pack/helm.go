package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/module/pack/chart"
	"github.com/slipway-dev/slipway/internal/source"
)

// hookAnnotation marks what Helm creates by itself, beside a release.
const hookAnnotation = "helm.sh/hook"

// renderChart gives the objects of the package's chart, and which ones were left out as hooks.
func (p *Package) renderChart(ctx context.Context, values Values, r Rendering) (objects []*unstructured.Unstructured, hooks []string, err error) {
	c, err := p.loadChart(ctx)
	if err != nil {
		return nil, nil, err
	}
	rendered, err := c.Render(ctx, values, chart.Release{
		Name: r.Name, Namespace: r.Namespace, KubeVersion: r.KubeVersion, APIVersions: r.APIVersions, Now: p.Published.UTC(), Check: checkChart,
	})
	if err != nil {
		return nil, nil, p.chartError(err)
	}
	for _, d := range slices.Concat(rendered.Definitions, rendered.Documents) {
		found, err := parseObjects(d.Text, leniently)
		if err != nil {
			return nil, nil, p.chartError(&chart.Error{File: d.File, Message: fmt.Sprintf("it gives no manifest that can be read: %v", err), Err: err})
		}
		for _, o := range found {
			if kinds, isHook := o.GetAnnotations()[hookAnnotation]; isHook && kinds != "crd-install" {
				hooks = append(hooks, o.GetKind()+"/"+o.GetName())
				continue
			}
			if d.Random != "" {
				return nil, nil, p.chartError(&chart.Error{File: d.File, Message: fmt.Sprintf("%s makes something else up each time, so that there "+
					"would be no telling whether the %s %s has changed: set the values that the chart takes in its place", d.Random, o.GetKind(), o.GetName())})
			}
			objects = append(objects, o)
		}
		if len(objects) > maxObjects {
			return nil, nil, invalid("", "", "the chart has more than %d objects", maxObjects)
		}
	}
	slices.Sort(hooks)
	return objects, hooks, nil
}

// loadChart reads the chart, and unpacks those that are packed in it.
func (p *Package) loadChart(ctx context.Context) (*chart.Chart, error) {
	files, err := p.chartFiles(ctx)
	if err != nil {
		return nil, err
	}
	c, err := chart.Load(files)
	if err != nil {
		return nil, p.chartError(err)
	}
	return c, nil
}

func (p *Package) chartFiles(ctx context.Context) ([]chart.File, error) {
	l := &unpacking{store: p.store, left: maxBytes}
	root, err := fs.Sub(p.files, p.chart)
	if err != nil {
		return nil, err
	}
	if packed, ok := soleArchive(root); ok {
		content, err := fs.ReadFile(root, packed)
		if err != nil {
			return nil, err
		}
		if err := l.archive(ctx, "", packed, content, 1); err != nil {
			return nil, err
		}
		return l.files, nil
	}
	if root, err = withoutIgnored(root); err != nil {
		return nil, err
	}
	if err := l.folder(ctx, "", root, 0); err != nil {
		return nil, err
	}
	return l.files, nil
}

// soleArchive finds a chart as 'helm pull' leaves it: one packed file and no Chart.yaml.
func soleArchive(root fs.FS) (string, bool) {
	if _, err := fs.Stat(root, "Chart.yaml"); err == nil {
		return "", false
	}
	found, err := fs.Glob(root, "*.tgz")
	if err != nil || len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// unpacking collects the files of a chart and of those that are packed in it.
type unpacking struct {
	store *source.Store
	files []chart.File
	left  int64
}

func (u *unpacking) folder(ctx context.Context, prefix string, files fs.FS, depth int) error {
	return under(files, ".", func(name string, content []byte) error {
		name = path.Join(prefix, name)
		if folder, packed := chart.Packed(name); packed {
			return u.archive(ctx, folder, name, content, depth+1)
		}
		if u.left -= int64(len(content)); u.left < 0 {
			return invalid("", "", "the chart has more than %d bytes", int64(maxBytes))
		}
		if len(u.files) >= maxFiles {
			return invalid("", "", "the chart has more than %d files", maxFiles)
		}
		u.files = append(u.files, chart.File{Name: name, Data: bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))})
		return nil
	})
}

// archive unpacks a chart, whose files are all in one folder of any name.
func (u *unpacking) archive(ctx context.Context, prefix, name string, content []byte, depth int) error {
	if depth > chart.MaxNesting {
		return invalid(name, "", "charts are packed in each other more than %d deep", chart.MaxNesting)
	}
	if u.store == nil {
		return invalid(name, "", "it is a packed chart: unpack it")
	}
	tree, err := unpack(ctx, u.store, bytes.NewReader(content))
	if err != nil {
		return invalid(name, "", "%v", err)
	}
	inner, err := soleFolder(tree)
	if err != nil {
		return invalid(name, "", "%v", err)
	}
	return u.folder(ctx, prefix, inner, depth)
}

// unpack brings an archive into the store. What is a bomb, leads out of the tree or is no file is refused there.
func unpack(ctx context.Context, store *source.Store, archive *bytes.Reader) (fs.FS, error) {
	d, err := store.Receive(ctx, archive, "", limits())
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	snap, err := d.Unpack(ctx, source.UnpackOptions{KeepAll: true, Strict: true})
	if err != nil {
		return nil, err
	}
	return snap.FS(), nil
}

// limits bound what is fetched and unpacked of one package.
func limits() source.Limits {
	return source.Limits{MaxTreeBytes: maxBytes, MaxFileBytes: 16 << 20, MaxFiles: maxFiles, MaxDepth: 32, MaxPackBytes: maxBytes, MaxUnpackedBytes: 2 * maxBytes}
}

// soleFolder is the folder that all files of a packed chart are in.
func soleFolder(tree fs.FS) (fs.FS, error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 || !entries[0].IsDir() {
		return nil, errors.New("it is no packed chart: all of one is in one folder")
	}
	return fs.Sub(tree, entries[0].Name())
}

// checkChart holds values against the schema that a chart brings.
func checkChart(name string, text []byte, values map[string]any) error {
	file := path.Join(name, "values.schema.json")
	schema, err := parseObject(text, leniently)
	if err != nil {
		return invalid(file, "", "it is no JSON: %v", err)
	}
	compiled, err := compileSchema(schema)
	if err != nil {
		return invalid(file, "", "%v", err)
	}
	return checkValues(compiled, values)
}

// chartError says where in the package a chart is at fault.
func (p *Package) chartError(err error) error {
	var bad *chart.Error
	if !errors.As(err, &bad) {
		return err
	}
	file := bad.File
	if _, below, found := strings.Cut(file, "/"); found && p.chart != "" && p.chart != "." {
		file = path.Join(p.chart, below)
	}
	return &Invalid{File: file, Message: bad.Message, Err: err}
}
