package supply

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// Settings are what a Shelf works with.
type Settings struct {
	// Reader reads Secrets and ConfigMaps. It should not be a cache of them: there may be many. Required.
	Reader client.Reader
	// Namespace of the agent, in which they are. Required.
	Namespace string
	// Dir is a folder for packages and catalogues, which nobody else may use. Required.
	Dir string
	// Insecure are hosts of registries that may answer without TLS. Default: none.
	Insecure []string
	// Verify is whose signature packages must have whose Module says nothing. Default: nobody's.
	Verify *pack.Verification
	// TrustedRoot is who vouches for identities that Modules name: sigstore's trusted_root.json. Default: nobody.
	TrustedRoot []byte
	// Asked says why nobody was asked whether who wrote a Module might have the agent use a Secret for it; empty: they were. Default: everybody may
	// who may read the Secret themselves, as a person does who plans.
	Asked func(context.Context, *v1alpha1.Module) (problem string, err error)
	// AllowFile permits Git repositories at file:// URLs. Default: false.
	AllowFile bool
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

// Shelf is where packages come from. It implements plan.Packages, and is safe for concurrent use.
type Shelf struct {
	Settings

	fetcher    *pack.Fetcher
	catalogues *catalogues
}

var _ plan.Packages = (*Shelf)(nil)

// New returns a shelf. Close it.
func New(s Settings) (*Shelf, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	opts := []pack.Option{pack.Insecure(s.Insecure...), pack.WithClock(s.Now)}
	if s.AllowFile {
		opts = append(opts, pack.AllowFile())
	}
	fetcher, err := pack.NewFetcher(filepath.Join(s.Dir, "packages"), opts...)
	if err != nil {
		return nil, err
	}
	found, err := newCatalogues(filepath.Join(s.Dir, "catalogues"), s)
	if err != nil {
		fetcher.Close()
		return nil, err
	}
	return &Shelf{Settings: s, fetcher: fetcher, catalogues: found}, nil
}

// Close gives up the kept connections.
func (s *Shelf) Close() {
	s.fetcher.Close()
	s.catalogues.close()
}

// Images tells which images there are, over the connections of the shelf.
func (s *Shelf) Images() *plan.Registries {
	return plan.NewRegistries(s.catalogues.registry, s.Insecure, s.Now)
}

// maxLooks is how many packages are fetched only to see when they were published. Versions that are younger than minAge are few.
const maxLooks = 5

// Choose implements plan.Packages.
func (s *Shelf) Choose(ctx context.Context, m *v1alpha1.Module) (plan.Choice, error) {
	choice, err := s.choose(ctx, m)
	return choice, translated(err)
}

func (s *Shelf) choose(ctx context.Context, m *v1alpha1.Module) (plan.Choice, error) {
	if b := m.Spec.Source.Builtin; b != nil {
		return plan.Choice{}, fmt.Errorf("%s is part of Slipway: it has no package, and there is nothing to plan; `slipway module show %s` has what is known of it", b.Name, m.Name)
	}
	credentials, err := s.credentials(ctx, m)
	if err != nil {
		return plan.Choice{}, err
	}
	inputs, err := s.values(ctx, m)
	if err != nil {
		return plan.Choice{}, err
	}
	question := wanted.Question{Range: m.Spec.Version, Current: m.Status.Current, Upgrade: m.Spec.Upgrade, Now: s.Now()}
	if c := m.Spec.Catalogue; c != nil {
		if question.Catalogued, err = s.catalogued(ctx, m, *c); err != nil {
			return plan.Choice{}, err
		}
	}
	available, err := s.fetcher.Versions(ctx, m.Spec.Source, credentials)
	switch {
	case errors.Is(err, pack.ErrUnlisted):
		question.Unlisted = true
	case err != nil:
		return plan.Choice{}, err
	}
	for _, a := range available {
		question.Available = append(question.Available, wanted.Version(a))
	}
	choice := wanted.Choose(question)
	for range maxLooks {
		at := slices.IndexFunc(question.Available, func(v wanted.Version) bool { return v.Version == choice.Version })
		if choice.Problem != "" || at < 0 || !question.Available[at].Published.IsZero() || m.Spec.Upgrade == nil || m.Spec.Upgrade.MinAge == nil {
			break
		}
		p, err := s.fetch(ctx, m, choice.Version, credentials)
		if err != nil || p.Published.IsZero() {
			break // whoever fetches it says why
		}
		question.Available[at].Published = p.Published
		choice = wanted.Choose(question)
	}
	if choice.Problem != "" {
		return plan.Choice{}, errors.New(choice.Problem)
	}
	return plan.Choice{Version: choice.Version, Digest: choice.Digest, Why: choice.Why, Inputs: digestOf(inputs)}, nil
}

// Fetch implements plan.Packages.
func (s *Shelf) Fetch(ctx context.Context, m *v1alpha1.Module, version string) (*plan.Package, error) {
	credentials, err := s.credentials(ctx, m)
	if err != nil {
		return nil, translated(err)
	}
	p, err := s.fetch(ctx, m, version, credentials)
	if err != nil {
		return nil, translated(err)
	}
	return s.described(p), nil
}

func (s *Shelf) fetch(ctx context.Context, m *v1alpha1.Module, version string, credentials pack.Credentials) (*pack.Package, error) {
	verify, err := s.verification(ctx, m)
	if err != nil {
		return nil, err
	}
	return s.fetcher.Fetch(ctx, m.Spec.Source, version, credentials, verify)
}

// described is a package as plans need it.
func (s *Shelf) described(p *pack.Package) *plan.Package {
	out := &plan.Package{
		ResolvedPackage: v1alpha1.ResolvedPackage{Name: p.Manifest.Name, URL: p.URL, Digest: p.Digest, SignedBy: p.SignedBy},
		Version:         p.Manifest.Version, Published: p.Published, Namespace: p.Manifest.Namespace, KubeVersion: p.Manifest.KubeVersion, Agent: p.Manifest.Agent,
		Requires: dependencies(p.Manifest.Requires), Conflicts: dependencies(p.Manifest.Conflicts),
		Permissions: p.Manifest.Permissions, Gate: p.Manifest.Gate, Images: p.Manifest.Images, Reversible: p.Manifest.Reversible,
		Render: func(ctx context.Context, r plan.Rendering) ([]*unstructured.Unstructured, error) {
			values, err := s.values(ctx, r.Module)
			if err != nil {
				return nil, translated(err)
			}
			objects, err := p.Render(ctx, pack.Rendering{
				Values: values, Namespace: r.Namespace, Name: r.Name, KubeVersion: r.KubeVersion, APIVersions: r.APIVersions, Images: r.Module.Spec.Images, Scope: r.Scope,
			})
			return objects, translated(err)
		},
	}
	for _, i := range p.Interpreters {
		out.Interpreters = append(out.Interpreters, plan.Interpreter{Name: i.Name, Definition: i.Definition})
	}
	return out
}

func dependencies(from []pack.Requirement) []v1alpha1.ModuleDependency {
	var out []v1alpha1.ModuleDependency
	for _, r := range from {
		out = append(out, v1alpha1.ModuleDependency{Module: r.Name, Version: r.Version})
	}
	return out
}

// translated turns errors of packages into those of plans.
func translated(err error) error {
	var away *pack.Unavailable
	switch {
	case err == nil:
		return nil
	case errors.As(err, &away):
		return &plan.Unavailable{Err: away.Err}
	case errors.Is(err, pack.ErrUnsigned):
		return &untrusted{err}
	}
	return err
}

// untrusted is an error about a signature, in its own words.
type untrusted struct{ error }

func (u *untrusted) Is(target error) bool { return target == plan.ErrUntrusted }

func (u *untrusted) Unwrap() error { return u.error }
