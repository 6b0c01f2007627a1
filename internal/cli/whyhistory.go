package cli

import (
	"context"
	"fmt"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/history"
)

// The keys under which an image says which commit it was made of.
const (
	annotationSource   = "org.opencontainers.image.source"
	annotationRevision = "org.opencontainers.image.revision"
)

// historyFor opens a repository that has the commit of a revision, or says in the report why there is none.
func (a *App) historyFor(ctx context.Context, c *cluster, report *whyReport, revision, dir string) (*history.Repository, string) {
	from := report.Source
	up := upstream{secret: client.ObjectKey{Namespace: from.Namespace}}
	switch from.Kind {
	case sourcev1.GitRepositoryKind:
		var repo sourcev1.GitRepository
		if err := c.Get(ctx, client.ObjectKey{Namespace: from.Namespace, Name: from.Name}, &repo); err != nil {
			report.note("the history isn't known: %v", err)
			return nil, ""
		}
		up.address = repo.Spec.URL
		if repo.Spec.SecretRef != nil {
			up.secret.Name = repo.Spec.SecretRef.Name
		}
	case sourcev1.OCIRepositoryKind:
		var repo sourcev1.OCIRepository
		if err := c.Get(ctx, client.ObjectKey{Namespace: from.Namespace, Name: from.Name}, &repo); err != nil || repo.Status.Artifact == nil {
			return nil, ""
		}
		up.address, revision = repo.Status.Artifact.Metadata[annotationSource], repo.Status.Artifact.Metadata[annotationRevision]
		up.claimed = true
	}
	commit := commitOf(revision)
	if commit == "" {
		report.note("a %s has no commits; the lines are those of its files at %s", from.Kind, shortRevision(from.Revision))
		return nil, ""
	}
	repo, err := a.openHistory(ctx, c, commit, up, dir)
	if err != nil {
		report.note("who wrote a line isn't known: %v\nWith --repo DIR a working copy tells it. The lines are those of %s.", err, revision)
		return nil, ""
	}
	return repo, commit
}

// openHistory looks in a working copy for a commit: in dir, in the folder the person is in, and else in a mirror.
func (a *App) openHistory(ctx context.Context, c *cluster, commit string, from upstream, dir string) (*history.Repository, error) {
	if dir != "" {
		repo, err := history.Open(dir)
		if err == nil && !repo.Has(commit) {
			err = fmt.Errorf("%w %.10s: run 'git fetch' in %s", history.ErrNoCommit, commit, dir)
		}
		return repo, err
	}
	if repo, err := history.Open("."); err == nil && repo.Has(commit) {
		return repo, nil
	}
	if from.address == "" {
		return nil, fmt.Errorf("nothing says which repository has commit %.10s", commit)
	}
	cache, err := historyFolder()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(from.address, "file:") {
		a.waitf("reading the history of %s", withoutUser(from.address))
	}
	return a.mirror(ctx, c, cache, commit, from)
}

// commitOf is the commit in a revision such as main@sha1:0123…, or "".
func commitOf(revision string) string {
	const name = "sha1:"
	at := strings.LastIndex(revision, name)
	if at < 0 || len(revision)-at-len(name) != 40 {
		return ""
	}
	return revision[at+len(name):]
}
