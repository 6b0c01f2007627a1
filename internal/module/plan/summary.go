package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// maxListed is how many entries a list of a PlanSummary may have.
const maxListed = 16

// Summary is the gist of the plan, for the status of the Module. Where the whole plan is stored, and what it waits for, isn't known here.
func (p *Plan) Summary() *v1alpha1.PlanSummary {
	return &v1alpha1.PlanSummary{
		Digest: p.Digest, Inputs: p.Inputs, At: metav1.NewTime(p.At),
		Reversible: p.Reversible, Irreversible: first(p.Irreversible), Objects: p.Counts,
		AddedPermissions: first(p.AddedPermissions), Problems: first(p.Problems), ProblemCount: int32(len(p.Problems)), //nolint:gosec // bounded by memory
	}
}

// first returns as many entries of a list as a status takes.
func first[T any](list []T) []T { return list[:min(len(list), maxListed):min(len(list), maxListed)] }
