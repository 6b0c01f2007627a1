package sources

import (
	"context"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// ExternalArtifacts serves ExternalArtifact: what another controller made, and has at an address for whoever wants it.
func ExternalArtifacts(artifacts *source.Artifacts, limits source.Limits) Kind {
	return kindOf(externalArtifacts{artifacts: artifacts, limits: limits})
}

type externalArtifacts struct {
	artifacts *source.Artifacts
	limits    source.Limits
}

func (externalArtifacts) traits() traits {
	return traits{kind: sourcev1.ExternalArtifactKind, failed: source.ReasonDownloadFailed, foreign: true}
}

func (externalArtifacts) object() *sourcev1.ExternalArtifact { return &sourcev1.ExternalArtifact{} }
func (externalArtifacts) list() client.ObjectList            { return &sourcev1.ExternalArtifactList{} }

func (externalArtifacts) fields(obj *sourcev1.ExternalArtifact) fields {
	return fields{artifact: &obj.Status.Artifact, conditions: &obj.Status.Conditions, observedGeneration: new(int64), lastHandled: new(string)}
}

func (externalArtifacts) check(*sourcev1.ExternalArtifact) error { return nil }

func (d externalArtifacts) fetch(ctx context.Context, obj *sourcev1.ExternalArtifact, _ want) (fetched[*sourcev1.ExternalArtifact], error) {
	artifact := obj.Status.Artifact
	snapshot, err := d.artifacts.Fetch(ctx, source.ArtifactRequest{URL: artifact.URL, Digest: artifact.Digest, Revision: artifact.Revision, Limits: d.limits})
	return fetched[*sourcev1.ExternalArtifact]{snapshot: snapshot}, err
}
