package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
)

// soak is how long a new agent has to work before it may be called proved: long enough for every Kustomization to be looked at once.
const soak = time.Minute

// deliveryCheck is the name of the check on what the agent delivers.
const deliveryCheck = "Delivery"

// proof sees whether an agent that took over works.
type proof struct {
	reader   client.Reader // the agent's cache
	unserved func() string // why nobody serves delivery; nil: never mind
	elected  <-chan struct{}
	now      func() time.Time
}

// checks says what has been shown since a time. Texts stay the same while nothing has changed.
func (p *proof) checks(ctx context.Context, since time.Time) []v1alpha1.AgentCheck {
	select {
	case <-p.elected:
	default:
		return nil
	}
	now := metav1.NewTime(p.now())
	worked := now.Sub(since) >= soak
	started := v1alpha1.AgentCheck{Name: probe.Started, At: now, Passed: worked, Message: "works, for less than " + soak.String()}
	if worked {
		started.Message = "works, for longer than " + soak.String()
	}
	return []v1alpha1.AgentCheck{started, p.delivery(ctx, now, since)}
}

// delivery looks for Kustomizations that failed since the agent took over, at a revision with which they had been ready: those the new agent
// is to blame for. What fails at a new revision its author is.
func (p *proof) delivery(ctx context.Context, now metav1.Time, since time.Time) v1alpha1.AgentCheck {
	check := v1alpha1.AgentCheck{Name: deliveryCheck, At: now}
	if p.unserved != nil {
		if check.Message = p.unserved(); check.Message != "" {
			return check
		}
	}
	var all kustomizev1.KustomizationList
	if err := p.reader.List(ctx, &all); err != nil {
		check.Message = "the Kustomizations can't be listed: " + err.Error()
		return check
	}
	var worse []string
	for i := range all.Items {
		if ks := &all.Items[i]; regressed(ks, since) {
			worse = append(worse, ks.Namespace+"/"+ks.Name)
		}
	}
	if len(worse) == 0 {
		check.Passed, check.Message = true, "no Kustomization fails that was ready at the same revision before"
		return check
	}
	slices.Sort(worse)
	const shown = 5
	check.Message = fmt.Sprintf("%d Kustomizations fail at revisions with which they were ready before: %s", len(worse), strings.Join(worse[:min(len(worse), shown)], ", "))
	return check
}

func regressed(ks *kustomizev1.Kustomization, since time.Time) bool {
	ready := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReadyCondition)
	return ready != nil && ready.Status == metav1.ConditionFalse && !ready.LastTransitionTime.Time.Before(since.Truncate(time.Second)) &&
		ks.Status.LastAppliedRevision != "" && ks.Status.LastAttemptedRevision == ks.Status.LastAppliedRevision
}
