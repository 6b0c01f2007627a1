package sources

import (
	"context"
	"errors"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// GitRepositories serves GitRepository. cached has the GitRepositories that are included; reader asks the API server for the Secrets
// that they name.
func GitRepositories(git *source.Git, store *source.Store, cached, reader client.Reader, limits source.Limits) Kind {
	return kindOf(gitRepositories{git: git, store: store, cached: cached, reader: reader, limits: limits})
}

type gitRepositories struct {
	git    *source.Git
	store  *source.Store
	cached client.Reader
	reader client.Reader
	limits source.Limits
}

func (gitRepositories) traits() traits {
	return traits{
		kind: sourcev1.GitRepositoryKind, failed: sourcev1.GitOperationFailedReason,
		conditions: []string{sourcev1.SourceVerifiedCondition, sourcev1.IncludeUnavailableCondition},
	}
}

func (gitRepositories) object() *sourcev1.GitRepository { return &sourcev1.GitRepository{} }
func (gitRepositories) list() client.ObjectList         { return &sourcev1.GitRepositoryList{} }

func (gitRepositories) fields(obj *sourcev1.GitRepository) fields {
	spec, status := &obj.Spec, &obj.Status
	return fields{
		interval: spec.Interval.Duration, timeout: spec.Timeout, suspend: spec.Suspend,
		artifact: &status.Artifact, conditions: &status.Conditions,
		observedGeneration: &status.ObservedGeneration, lastHandled: &status.LastHandledReconcileAt,
	}
}

func (gitRepositories) check(obj *sourcev1.GitRepository) error { return source.Unsupported(obj.Spec) }

func (d gitRepositories) fetch(ctx context.Context, obj *sourcev1.GitRepository, want want) (fetched[*sourcev1.GitRepository], error) {
	included, err := d.included(ctx, obj, want)
	if err != nil {
		return unavailable(err)
	}
	req, err := d.request(ctx, obj, want)
	if err != nil {
		return explained(err)
	}
	req.Includes = included.parts
	snapshot, err := d.git.Fetch(ctx, req, want.previous)
	if err != nil {
		return explained(err)
	}
	out := fetched[*sourcev1.GitRepository]{snapshot: snapshot}
	if lines := snapshot.Signatures(); req.Verify != nil {
		out.conditions = append(out.conditions, metav1.Condition{
			Type: sourcev1.SourceVerifiedCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason,
			Message: "verified the signature of " + strings.Join(lines, ", and of "),
		})
	}
	spec := obj.Spec.DeepCopy()
	out.observe = func(obj *sourcev1.GitRepository) {
		status := &obj.Status
		status.ObservedIgnore, status.ObservedRecurseSubmodules = spec.Ignore, spec.RecurseSubmodules
		status.ObservedInclude, status.ObservedSparseCheckout = spec.Include, spec.SparseCheckout
		status.IncludedArtifacts, status.SourceVerificationMode = included.artifacts, nil
		if spec.Verification != nil {
			mode := spec.Verification.GetMode()
			status.SourceVerificationMode = &mode
		}
	}
	return out, nil
}

// request is what the spec asks for, with the Secrets as they are now.
func (d gitRepositories) request(ctx context.Context, obj *sourcev1.GitRepository, want want) (req source.GitRequest, err error) {
	spec := &obj.Spec
	req = source.GitRequest{
		URL: spec.URL, Ref: reference(spec.Reference, want.revision), Since: want.since, Ignore: spec.Ignore, Limits: d.limits,
		Submodules: spec.RecurseSubmodules, Sparse: spec.SparseCheckout,
	}
	if req.Auth, err = d.auth(ctx, obj); err != nil {
		return req, err
	}
	if req.Proxy, err = d.proxy(ctx, obj); err != nil {
		return req, err
	}
	if want.revision == "" { // else it was verified when it became the artifact, and its hash is what it was
		req.Verify, err = d.verification(ctx, obj)
	}
	return req, err
}

// explained adds to an error what it means for the kind's own conditions.
func explained(err error) (fetched[*sourcev1.GitRepository], error) {
	out := fetched[*sourcev1.GitRepository]{gone: []string{sourcev1.IncludeUnavailableCondition}}
	var typed *source.Error
	switch {
	case !errors.As(err, &typed):
	case typed.Unverified():
		out.reached = true
		out.conditions = []metav1.Condition{{Type: sourcev1.SourceVerifiedCondition, Status: metav1.ConditionFalse, Reason: typed.Reason, Message: err.Error()}}
	case typed.Reason == source.ReasonIncludeCopy:
		return unavailable(err)
	}
	return out, err
}

// reference is spec.ref, or the commit of a revision, on the branch that spec.ref names.
func reference(ref *sourcev1.GitRepositoryRef, revision string) *sourcev1.GitRepositoryRef {
	if revision == "" {
		return ref
	}
	exact := &sourcev1.GitRepositoryRef{}
	if ref != nil {
		exact.Branch = ref.Branch
	}
	_, exact.Commit, _ = strings.Cut(revision, "sha1:")
	return exact
}

func (d gitRepositories) auth(ctx context.Context, obj *sourcev1.GitRepository) (source.Auth, error) {
	found, err := secret(ctx, d.reader, obj.Namespace, obj.Spec.SecretRef, "spec.secretRef")
	switch {
	case err != nil:
		return source.Auth{}, err
	case found == nil:
		return source.AuthFromSecret(nil, obj.Spec.URL)
	case obj.GetProvider() == sourcev1.GitProviderGitHub:
		return source.AuthFromGitHubApp(found.Data, obj.Spec.URL)
	}
	return source.AuthFromSecret(found.Data, obj.Spec.URL)
}

func (d gitRepositories) proxy(ctx context.Context, obj *sourcev1.GitRepository) (source.Proxy, error) {
	found, err := secret(ctx, d.reader, obj.Namespace, obj.Spec.ProxySecretRef, "spec.proxySecretRef")
	if err != nil || found == nil {
		return source.Proxy{}, err
	}
	return source.ProxyFromSecret(found.Data)
}

func (d gitRepositories) verification(ctx context.Context, obj *sourcev1.GitRepository) (*source.Verification, error) {
	verify := obj.Spec.Verification
	if verify == nil {
		return nil, nil
	}
	found, err := secret(ctx, d.reader, obj.Namespace, &verify.SecretRef, "spec.verify.secretRef")
	if err != nil {
		return nil, &source.Error{Reason: source.ReasonVerification, Err: err}
	}
	keys, err := source.SigningKeysFromSecret(found.Data)
	if err != nil {
		return nil, err
	}
	return &source.Verification{Mode: verify.GetMode(), Keys: keys}, nil
}
