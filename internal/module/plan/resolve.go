package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/author"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// history reads the committed revision, and what the attempts since have brought.
func history(ctx context.Context, d *draft) error {
	d.known, d.found = map[kube.Ref]bool{}, map[kube.Ref]bool{}
	for _, name := range revisionsOf(d.module) {
		isCurrent := d.module.Status.Current != nil && d.module.Status.Current.Revision == name
		r, err := d.Revisions.Load(ctx, name)
		if apierrors.IsNotFound(err) && !isCurrent {
			continue // the attempt had not begun
		}
		if apierrors.IsNotFound(err) || errors.Is(err, revision.ErrLost) || errors.Is(err, revision.ErrCorrupt) {
			d.irreversible("what revision %s was can't be read any more: %s", name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("read what is installed: %w", err)
		}
		if isCurrent {
			d.current = r
		}
		for _, o := range revision.Objects(r.Steps) {
			d.known[kube.RefOf(o).Unversioned()] = true
		}
		for _, o := range r.Before {
			d.found[kube.RefOf(o).Unversioned()] = true
		}
	}
	return nil
}

// bound reads the grant, and asks whether the Module's author may use it.
func bound(ctx context.Context, d *draft) error {
	ref := d.module.Spec.GrantRef
	if ref == nil {
		return nil
	}
	grant := &v1alpha1.ModuleGrant{}
	switch err := d.Client.Get(ctx, client.ObjectKey{Name: ref.Name}, grant); {
	case apierrors.IsNotFound(err):
		d.problem(CheckPermissions, "", "ModuleGrant %s doesn't exist: correct spec.grantRef of the Module, or ask the owner of the platform for the grant", ref.Name)
		return nil
	case apierrors.IsForbidden(err):
		d.problem(CheckPermissions, "", "ModuleGrant %s can't be read: allow get on it", ref.Name)
		return nil
	case err != nil:
		return fmt.Errorf("read ModuleGrant %s: %w", ref.Name, err)
	}
	d.grant = grant
	// The policy that guards grants is the same for all; the grant itself is read now, since a change of it has this plan made.
	wrong, err := author.Problem(ctx, author.Clients{Reader: shared{d.Client, d.survey, d.since}, Writer: d.Client}, d.module, grant)
	if err != nil {
		return err
	}
	if wrong != "" {
		d.problem(CheckPermissions, "", "%s", wrong)
	}
	return nil
}

// resolve chooses a version, fetches it, and holds it against the cluster.
func resolve(ctx context.Context, d *draft) error {
	choice, err := d.Packages.Choose(ctx, d.module)
	if err != nil {
		return d.lasting(CheckResolve, err)
	}
	d.plan.Version, d.plan.Inputs = choice.Version, inputsOf(choice, d.grant)
	d.pkg, err = d.Packages.Fetch(ctx, d.module, choice.Version)
	if err != nil {
		if errors.Is(err, ErrUntrusted) {
			return d.lasting(CheckVerify, err)
		}
		return d.lasting(CheckResolve, err)
	}
	d.plan.Package, d.plan.Published = d.pkg.ResolvedPackage, d.pkg.Published
	d.plan.PackageRequires = d.pkg.Requires
	if err := d.neighbourhood(ctx); err != nil {
		return err
	}
	if d.served, err = d.cluster(ctx); err != nil {
		return err
	}
	if wanted := d.pkg.KubeVersion; !inRange(wanted, d.served.version) {
		d.problem(CheckResolve, "", "package %s %s works with Kubernetes %s, and this cluster has %s: choose another version in spec.version, or upgrade the cluster",
			d.pkg.Name, choice.Version, wanted, d.served.version)
	}
	if wanted := d.pkg.Agent; released(d.Version) && !inRange(wanted, d.Version) {
		d.problem(CheckResolve, "", "package %s %s works with Slipway %s, and this is %s: choose another version in spec.version, or upgrade Slipway",
			d.pkg.Name, choice.Version, wanted, d.Version)
	}
	return nil
}

// inputsOf is the digest of what decided about a plan, beside the spec and the cluster.
func inputsOf(c Choice, grant *v1alpha1.ModuleGrant) v1alpha1.Digest {
	text := []string{c.Version, string(c.Digest), string(c.Inputs)}
	if grant != nil {
		text = append(text, string(grant.UID), fmt.Sprint(grant.Generation))
	}
	return revision.DigestOf([]byte(strings.Join(text, "\x00")))
}

// Inputs says what a plan would be made of, without making one: while it is as in the last plan, another plan could differ only because the
// cluster does.
func (p *Planner) Inputs(ctx context.Context, m *v1alpha1.Module) (v1alpha1.Digest, error) {
	choice, err := p.Packages.Choose(ctx, m)
	if err != nil {
		return "", err
	}
	if m.Spec.GrantRef == nil {
		return inputsOf(choice, nil), nil
	}
	grant := &v1alpha1.ModuleGrant{}
	if err := p.Client.Get(ctx, client.ObjectKey{Name: m.Spec.GrantRef.Name}, grant); err != nil {
		if apierrors.IsNotFound(err) {
			return inputsOf(choice, nil), nil
		}
		return "", fmt.Errorf("read ModuleGrant %s: %w", m.Spec.GrantRef.Name, err)
	}
	return inputsOf(choice, grant), nil
}
