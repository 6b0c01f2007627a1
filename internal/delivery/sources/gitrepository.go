package sources

import (
	"context"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// GitRepositories serves GitRepository. reader asks the API server for the Secrets that they name.
func GitRepositories(git *source.Git, reader client.Reader, limits source.Limits) Kind {
	return kindOf(gitRepositories{git: git, reader: reader, limits: limits})
}

type gitRepositories struct {
	git    *source.Git
	reader client.Reader
	limits source.Limits
}

func (gitRepositories) traits() traits {
	return traits{kind: sourcev1.GitRepositoryKind, failed: sourcev1.GitOperationFailedReason}
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
	var out fetched[*sourcev1.GitRepository]
	auth, err := d.auth(ctx, obj)
	if err != nil {
		return out, err
	}
	out.snapshot, err = d.git.Fetch(ctx, source.GitRequest{
		URL: obj.Spec.URL, Ref: reference(obj.Spec.Reference, want.revision), Since: want.since, Ignore: obj.Spec.Ignore, Auth: auth, Limits: d.limits,
	}, want.previous)
	ignore := obj.Spec.Ignore
	out.observe = func(obj *sourcev1.GitRepository) { obj.Status.ObservedIgnore = ignore }
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
	if err != nil {
		return source.Auth{}, err
	}
	if found == nil {
		return source.AuthFromSecret(nil, obj.Spec.URL)
	}
	return source.AuthFromSecret(found.Data, obj.Spec.URL)
}
