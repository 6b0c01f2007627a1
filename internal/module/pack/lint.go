package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/source"
)

// Finding is something about a package that its author should know.
type Finding struct {
	// Wrong says that the package can't be installed as it is. What isn't wrong could be better.
	Wrong bool `json:"wrong"`
	// Where it is: a file, a field, an object; empty for the package as a whole.
	Where string `json:"where,omitempty"`
	// Message for people, with what to do.
	Message string `json:"message"`
}

// Lint looks at the package in a folder as its author should: it is read and rendered, its Interpreters are tried, and so on. What can't
// be found out because something else is wrong isn't told. The error is ctx's.
func Lint(ctx context.Context, store *source.Store, files fs.FS, r Rendering) ([]Finding, error) {
	l := &linter{}
	l.strangers(files)
	p, err := Open(ctx, store, files)
	if err != nil {
		l.wrong(err)
		return l.findings, ctx.Err()
	}
	l.manifest(p.Manifest)
	for _, i := range p.Interpreters {
		l.interpreter(i)
	}
	out, err := p.RenderAll(ctx, r)
	if err != nil {
		l.wrong(err)
		return l.findings, ctx.Err()
	}
	for _, hook := range out.Hooks {
		l.hint(hook, "it is a hook of Helm's, which nobody runs: do without it, or make it an object of its own")
	}
	for _, o := range out.Objects {
		l.object(o, p.Manifest)
	}
	for _, image := range append(Images(out.Objects), p.Manifest.Images...) {
		l.image(image)
	}
	return l.findings, nil
}

type linter struct{ findings []Finding }

func (l *linter) hint(where, format string, args ...any) {
	l.findings = append(l.findings, Finding{Where: where, Message: fmt.Sprintf(format, args...)})
}

// wrong takes an error apart that says several things.
func (l *linter) wrong(err error) {
	var (
		several interface{ Unwrap() []error }
		bad     *Invalid
	)
	switch {
	case errors.As(err, &bad) && !errors.As(err, &several):
		where := bad.File
		if bad.Field != "" {
			where = strings.TrimPrefix(where+": "+bad.Field, ": ")
		}
		l.findings = append(l.findings, Finding{Wrong: true, Where: where, Message: bad.Message})
	case errors.As(err, &several):
		for _, one := range several.Unwrap() {
			l.wrong(one)
		}
	default:
		l.findings = append(l.findings, Finding{Wrong: true, Message: err.Error()})
	}
}

func (l *linter) strangers(files fs.FS) {
	names, err := Strangers(files)
	if err != nil {
		l.wrong(err)
		return
	}
	for _, name := range names {
		l.hint(name, "it isn't part of a package, and isn't packed: manifests belong into %s/, definitions into %s/", manifestsDir, definitionsDir)
	}
}

func (l *linter) manifest(m Manifest) {
	if m.Rollback == nil {
		l.hint(ManifestFile, "rollback isn't declared, so that each upgrade waits for a person: write rollback: {} if upgrades to this version can be taken back, "+
			"and rollback: {stateful: true} if they can't")
	}
	if m.Description == "" {
		l.hint(ManifestFile, "there is no description: people read it before they install the package")
	}
	if m.Published == nil {
		l.hint(ManifestFile, "published isn't set: Modules with a minAge can't tell how old this version is, and take it to be old enough")
	}
	if len(m.Values) > 0 && m.Schema == nil {
		l.hint(ManifestFile, "there are values and no schema: a misspelt setting of a Module isn't found out")
	}
}

func (l *linter) interpreter(i Interpreter) {
	where := "Interpreter/" + i.Name
	_, wrong := interpret.Examine(i.Definition)
	for _, one := range wrong {
		l.findings = append(l.findings, Finding{Wrong: true, Where: where, Message: one.Error()})
	}
	if len(i.Definition.Tests) == 0 {
		l.hint(where, "it has no tests, which would show that it says what is meant")
	}
}

func (l *linter) object(o *unstructured.Unstructured, m Manifest) {
	where := kube.RefOf(o).Subject()
	switch gk := o.GroupVersionKind().GroupKind().String(); gk {
	case "CustomResourceDefinition.apiextensions.k8s.io":
		if _, err := crd.FromObject(o); err != nil {
			l.findings = append(l.findings, Finding{Wrong: true, Where: where, Message: err.Error()})
		}
	case "ClusterRole.rbac.authorization.k8s.io", "Role.rbac.authorization.k8s.io":
		l.role(o, m)
	}
}

// role holds the rights that a role gives against those that the package asks for.
func (l *linter) role(o *unstructured.Unstructured, m Manifest) {
	where := kube.RefOf(o).Subject()
	var role rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
		l.findings = append(l.findings, Finding{Wrong: true, Where: where, Message: "its rules can't be read: " + err.Error()})
		return
	}
	asked := append([]rbacv1.PolicyRule(nil), m.Permissions.ClusterRules...)
	for _, n := range m.Permissions.NamespaceRules {
		asked = append(asked, n.Rules...)
	}
	if len(asked) == 0 {
		return // Then what the roles allow is what the package asks for.
	}
	missing, err := permit.Missing(asked, role.Rules)
	if err != nil {
		l.hint(where, "whether its rights are among those of permissions in %s can't be told: %v", ManifestFile, err)
		return
	}
	for _, rule := range missing {
		l.findings = append(l.findings, Finding{Wrong: true, Where: where, Message: fmt.Sprintf("it allows what permissions in %s doesn't ask for: %s", ManifestFile, permit.Words(rule))})
	}
}

func (l *linter) image(image string) {
	ref, err := name.ParseReference(image)
	if err != nil {
		l.findings = append(l.findings, Finding{Wrong: true, Where: image, Message: "it is no name of an image"})
		return
	}
	if tag, ok := ref.(name.Tag); ok && tag.TagStr() == name.DefaultTag {
		l.hint(image, "the tag %s moves: the same package would run something else tomorrow. Name a version", name.DefaultTag)
	}
}
