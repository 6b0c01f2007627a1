package author

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Settled is how long after it was made a policy counts as obeyed by every API server: they learn of it by a watch, and read new
// policies once a second.
const Settled = 15 * time.Second

// Clients are what is needed of the cluster. The reader may be a cache.
type Clients struct {
	Reader client.Reader
	Writer client.Writer
}

// Problem says why a Module must not be carried out with its grant, and what to do; empty: its author was allowed to use it. A Module
// without a grant has no such problem. One that isn't in the cluster yet is its reader's: then they must be allowed to use the grant. The error is
// of an API server that could not be asked.
func Problem(ctx context.Context, c Clients, module *v1alpha1.Module, grant *v1alpha1.ModuleGrant) (string, error) {
	if module.Spec.GrantRef == nil || grant == nil {
		return "", nil
	}
	named := slices.Contains(grant.Spec.Modules, module.Name)
	if len(grant.Spec.Modules) > 0 && !named {
		return fmt.Sprintf("ModuleGrant %s is not for this Module: its owner may add %s to spec.modules", grant.Name, module.Name), nil
	}
	if module.UID == "" {
		return reader(ctx, c.Writer, grant.Name)
	}
	since, wrong, err := guarded(ctx, c.Reader)
	if err != nil || wrong != "" {
		return wrong, err
	}
	if !named && module.CreationTimestamp.Time.Before(since.Add(Settled)) {
		return fmt.Sprintf("nobody can tell whether who wrote the Module may use ModuleGrant %s: it was written before ValidatingAdmissionPolicy %s was in force. "+
			"If what it says is right, the owner of the grant may add %s to its spec.modules", grant.Name, Name, module.Name), nil
	}
	return "", nil
}

// Guarded says why nobody was asked whether who wrote a Module might, with what to do; empty: the API server was. The reader may be a cache.
func Guarded(ctx context.Context, r client.Reader, module *v1alpha1.Module) (problem string, err error) {
	since, wrong, err := guarded(ctx, r)
	if err != nil || wrong != "" {
		return wrong, err
	}
	if module.CreationTimestamp.Time.Before(since.Add(Settled)) {
		return fmt.Sprintf("nobody can tell who wrote the Module: it was written before ValidatingAdmissionPolicy %s was in force. "+
			"If what it says is right, delete it and create it again", Name), nil
	}
	return "", nil
}

// Asked says why a Module must not be served with what only its author may know of, with what to do; empty: it was asked whether they may. Nobody
// is asked about a Module without a grant.
func Asked(ctx context.Context, c Clients, module *v1alpha1.Module) (problem string, err error) {
	if module.Spec.Source.Builtin != nil {
		return Guarded(ctx, c.Reader, module)
	}
	ref := module.Spec.GrantRef
	if ref == nil {
		return "nobody asks who writes a Module without a grant: name a ModuleGrant in spec.grantRef; one that allows nothing will do", nil
	}
	grant := &v1alpha1.ModuleGrant{}
	switch err := c.Reader.Get(ctx, client.ObjectKey{Name: ref.Name}, grant); {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("ModuleGrant %s doesn't exist: correct spec.grantRef of the Module", ref.Name), nil
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("ModuleGrant %s can't be read: allow get on it", ref.Name), nil
	case err != nil:
		return "", fmt.Errorf("read ModuleGrant %s: %w", ref.Name, err)
	}
	return Problem(ctx, c, module, grant)
}

// guarded says since when the policy is in the cluster as it has to be, or what is wrong with it.
func guarded(ctx context.Context, r client.Reader) (since time.Time, wrong string, err error) {
	policy, binding, err := Policy()
	if err != nil {
		return since, "", err
	}
	const advice = ": nobody asks whether who writes a Module may use the grant that it names. Install Slipway's manifests again ('slipway install')"
	there, bound := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	for _, o := range []client.Object{there, bound} {
		kind := "ValidatingAdmissionPolicy"
		if o == client.Object(bound) {
			kind += "Binding"
		}
		switch err := r.Get(ctx, client.ObjectKey{Name: Name}, o); {
		case meta.IsNoMatchError(err):
			return since, "the API server knows no ValidatingAdmissionPolicy" + advice + "; it takes Kubernetes 1.30 or later", nil
		case apierrors.IsNotFound(err):
			return since, fmt.Sprintf("there is no %s %s%s", kind, Name, advice), nil
		case apierrors.IsForbidden(err):
			return since, fmt.Sprintf("%s %s can't be read, so that nobody knows whether it guards the grant: allow get on it", kind, Name), nil
		case err != nil:
			return since, "", fmt.Errorf("read %s %s: %w", kind, Name, err)
		}
		if created := o.GetCreationTimestamp().Time; created.After(since) {
			since = created
		}
		if o.GetDeletionTimestamp() != nil {
			return since, fmt.Sprintf("%s %s is being deleted%s", kind, Name, advice), nil
		}
	}
	if !apiequality.Semantic.DeepEqual(there.Spec, policy.Spec) {
		return since, fmt.Sprintf("ValidatingAdmissionPolicy %s isn't as this release of Slipway has it%s", Name, advice), nil
	}
	if !apiequality.Semantic.DeepEqual(bound.Spec, binding.Spec) {
		return since, fmt.Sprintf("ValidatingAdmissionPolicyBinding %s isn't as this release of Slipway has it%s", Name, advice), nil
	}
	return since, "", nil
}

// reader asks whether whoever plans may use a grant.
func reader(ctx context.Context, w client.Writer, grant string) (string, error) {
	review := &authorizationv1.SelfSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Resource: "modulegrants", Name: grant, Verb: "use",
		}},
	}
	if err := w.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask whether you may use ModuleGrant %s: %w", grant, err)
	}
	if review.Status.Allowed {
		return "", nil
	}
	return fmt.Sprintf("you may not use ModuleGrant %s: ask its owner for the verb use on it (apiGroups [%s], resources [modulegrants], resourceNames [%s], verbs [use])",
		grant, v1alpha1.GroupVersion.Group, grant), nil
}
