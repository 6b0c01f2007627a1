package build

import (
	"context"
	"errors"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/build/sops"
)

// Input is everything that a build depends on.
type Input struct {
	// Tree holds the files. A source's snapshot is one; TreeOf makes one of any fs.FS.
	Tree Tree
	// Path is the folder to build, from the tree's root; a leading "./" or "/" means
	// nothing. Empty: Spec.Path, and when that is empty too, the root.
	Path string
	// Spec gives the overlays: targetNamespace, namePrefix, nameSuffix, patches,
	// images, components, buildMetadata, commonMetadata, postBuild.substituteStrategy;
	// and with decryption that encrypted files are opened. Its other fields are not
	// looked at.
	Spec kustomizev1.KustomizationSpec
	// Vars are the values for post-build substitution: what postBuild.substituteFrom
	// names, with postBuild.substitute over it. Line breaks in values are dropped.
	Vars map[string]string
	// Keys open what is encrypted, where Spec.Decryption is set; nil: there are none.
	Keys *sops.Keys
}

// Result is what a build gives.
type Result struct {
	// Objects in the order in which Kustomize emits them: as listed, depth first.
	Objects []*unstructured.Unstructured
	// Reads is what the build looked at.
	Reads Reads
	// Decrypted hides the values that were encrypted in the tree. Nobody may be shown
	// the objects that have them in them without it.
	Decrypted mask.Mask
}

// Builder builds. It is safe for concurrent use; builds run in parallel except for
// those that bring an OpenAPI schema of their own, which run alone.
type Builder struct {
	limits  Limits
	observe func(resmap.ResMap)
}

// Option changes a Builder.
type Option func(*Builder)

// WithLimits replaces the default limits. Fields that are zero keep their default.
func WithLimits(l Limits) Option {
	return func(b *Builder) { b.limits = l.withDefaults() }
}

// Observe has look called with what Kustomize has rendered, before variables and common metadata. It must not change or keep it. This
// is for whoever explains a build, not for whoever needs its objects.
func Observe(look func(resmap.ResMap)) Option {
	return func(b *Builder) { b.observe = look }
}

// New makes a Builder with DefaultLimits.
func New(opts ...Option) *Builder {
	b := &Builder{limits: DefaultLimits()}
	for _, o := range opts {
		o(b)
	}
	return b
}

// Build renders in. Errors are of type *Error, except for a context that ended,
// which is returned wrapped. The context is looked at whenever a file is read and
// between objects; Kustomize's own work in memory cannot be interrupted.
func (b *Builder) Build(ctx context.Context, in Input) (*Result, error) {
	if err := Unsupported(in.Spec); err != nil {
		return nil, err
	}
	v := newView(ctx, in.Tree, b.limits)
	v.decryption = newDecryption(in)
	objects, err := b.build(v, in)
	if err != nil {
		return nil, v.explain(err)
	}
	return &Result{Objects: objects, Reads: v.reads(), Decrypted: v.decrypted}, nil
}

func (b *Builder) build(v *view, in Input) ([]*unstructured.Unstructured, error) {
	path := in.Path
	if path == "" {
		path = in.Spec.Path
	}
	dir, err := v.enter(path)
	if err != nil {
		return nil, err
	}
	if err := v.prepareRoot(dir, in.Spec); err != nil {
		return nil, err
	}
	rendered, err := v.kustomize(dir)
	if err != nil {
		return nil, err
	}
	if b.observe != nil {
		b.observe(rendered)
	}
	sub, err := newSubstitution(in.Spec.PostBuild, in.Vars, b.limits)
	if err != nil {
		return nil, err
	}
	return v.objects(rendered, sub, in.Spec.CommonMetadata)
}

// kustomize renders the folder at dir. The first attempt shares the warm schema with
// other builds; when a kustomization asks for a schema of its own, it stops before
// Kustomize has seen that, and a second attempt has the process' schema to itself.
func (v *view) kustomize(dir string) (resmap.ResMap, error) {
	var rendered resmap.ResMap
	err := withWarmSchema(func() (err error) {
		rendered, err = v.run(dir)
		return err
	})
	if !errors.Is(v.failure, errOwnSchema) {
		return rendered, err
	}
	v.failure, v.schemaIsOurs, v.limits = nil, true, v.limits.alone()
	v.inputBytes, v.kustomizations, v.objectCount = 0, 0, 0
	err = withOwnSchema(func() (err error) {
		rendered, err = v.run(dir)
		return err
	})
	return rendered, err
}

// run calls Kustomize. It is known to panic on some malformed objects.
func (v *view) run(dir string) (rendered resmap.ResMap, err error) {
	defer func() {
		if p := recover(); p != nil {
			rendered, err = nil, &Error{
				Reason:  ReasonBuildFailed,
				File:    v.lastKustomization,
				Message: "kustomize gave up on these manifests with an internal error; check them with `kustomize build`",
				Err:     fmt.Errorf("panic: %T", p),
			}
		}
	}()
	k := krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: types.LoadRestrictionsNone, // the view keeps everything inside the tree
		PluginConfig:     types.DisabledPluginConfig(),
	})
	rendered, err = k.Run(v, absolute(dir))
	if v.failure != nil {
		return nil, v.failure
	}
	return rendered, err
}
