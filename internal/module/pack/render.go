package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
)

// Rendering is what objects depend on, beside the package.
type Rendering struct {
	// Values are laid over those of the package.
	Values Values
	// Namespace for objects that have one and don't say which.
	Namespace string
	// Name of the Module; charts know it as the name of their release.
	Name string
	// KubeVersion of the cluster, such as v1.36.2. Default: that of the libraries that this was built with.
	KubeVersion string
	// APIVersions that the cluster serves, such as apps/v1 and apps/v1/Deployment. Default: those of Kubernetes itself.
	APIVersions []string
	// Images say which images are taken from elsewhere. The first prefix that fits counts.
	Images []v1alpha1.ImageRewrite
	// Scope says whether the objects of a kind have a namespace, where neither Kubernetes nor the package defines it. Default: it isn't
	// known, and objects of such kinds that don't say a namespace are left without one.
	Scope func(schema.GroupKind) (namespaced, known bool)
}

// Rendered is what a package gives, and what it leaves out.
type Rendered struct {
	// Objects, each once, ordered by group, kind, namespace and name.
	Objects []*unstructured.Unstructured
	// Hooks are the objects of a chart that only Helm would have created, as Kind/name. They aren't among Objects.
	Hooks []string
}

// Render makes the objects of a package: the same for the same Rendering. Errors are *[Invalid], an error of package build, or ctx's; what
// is said in them of values is their place, not what they are.
func (p *Package) Render(ctx context.Context, r Rendering) ([]*unstructured.Unstructured, error) {
	out, err := p.RenderAll(ctx, r)
	if err != nil {
		return nil, err
	}
	return out.Objects, nil
}

// RenderAll is Render for those who want to know what was left out, too.
func (p *Package) RenderAll(ctx context.Context, r Rendering) (*Rendered, error) {
	out, err := p.render(ctx, r)
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("render %s %s: %w", p.Manifest.Name, p.Manifest.Version, ctx.Err())
	}
	return nil, hide(err, given(map[string]any(r.Values)))
}

func (p *Package) render(ctx context.Context, r Rendering) (*Rendered, error) {
	values := Overlay(p.Manifest.Values, r.Values)
	if err := p.checkValues(values); err != nil {
		return nil, err
	}
	out := &Rendered{}
	for _, dir := range []string{definitionsDir, manifestsDir} {
		if p.chart == "." || !isFolder(p.files, dir) {
			continue
		}
		objects, err := p.manifests(ctx, dir, values)
		if err != nil {
			return nil, err
		}
		out.Objects = append(out.Objects, objects...)
	}
	if p.chart != "" {
		objects, hooks, err := p.renderChart(ctx, values, r)
		if err != nil {
			return nil, err
		}
		out.Objects, out.Hooks = append(out.Objects, objects...), hooks
	}
	if len(out.Objects) == 0 {
		return nil, invalid("", "", "the package has no objects with these values")
	}
	if len(out.Objects) > maxObjects {
		return nil, invalid("", "", "the package has %d objects; %d are the limit", len(out.Objects), maxObjects)
	}
	place(out.Objects, r.Namespace, r.Scope)
	rewriteImages(out.Objects, r.Images, p.Manifest.Images)
	slices.SortStableFunc(out.Objects, func(a, b *unstructured.Unstructured) int { return strings.Compare(identity(a), identity(b)) })
	for i := 1; i < len(out.Objects); i++ {
		if o := out.Objects[i]; identity(o) == identity(out.Objects[i-1]) {
			return nil, invalid("", "", "%s is there twice: leave one of them out", kube.RefOf(o).Subject())
		}
	}
	return out, nil
}

// maxObjects is how many objects a package may have.
const maxObjects = 3000

// checkValues holds values against the schema of the package.
func (p *Package) checkValues(values Values) error {
	if len(values) > 0 && p.Manifest.Schema == nil && p.chart == "" && !p.Manifest.Substitute {
		return &Invalid{Field: "values", Message: "the package takes none: remove them"}
	}
	s, err := compileSchema(p.Manifest.Schema)
	if err != nil {
		return invalid(ManifestFile, "schema", "%v", err)
	}
	return checkValues(s, Merge(nil, values))
}

// identity tells objects apart as the API server does, whatever the version that they are written in.
func identity(o *unstructured.Unstructured) string {
	gk := o.GroupVersionKind().GroupKind()
	return strings.Join([]string{gk.Group, gk.Kind, o.GetNamespace(), o.GetName()}, "\x00")
}

// hide takes what a person has set out of the text of an error.
func hide(err error, secrets []string) error {
	if !slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(err.Error(), s) }) {
		return err
	}
	message := source.Quote(err, secrets...).Error()
	var bad *Invalid
	if errors.As(err, &bad) && bad.Message != "" {
		message = source.Quote(errors.New(bad.Message), secrets...).Error()
		return &Invalid{File: bad.File, Field: bad.Field, Message: message}
	}
	return &Invalid{Message: message}
}

// under reads all files of a folder, by their paths below it.
func under(files fs.FS, dir string, visit func(name string, content []byte) error) error {
	return fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if dir != "." {
			name = strings.TrimPrefix(name, dir+"/")
		}
		return visit(name, content)
	})
}
