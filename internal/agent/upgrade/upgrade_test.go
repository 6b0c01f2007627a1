package upgrade_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// TestUpgrade: each kind of image ends as it should, with a working agent and no manual step.
func TestUpgrade(t *testing.T) {
	for _, tc := range []struct {
		flaw flaw
		mode v1alpha1.AgentUpgradeMode
		end  protocol.State
		says string // in the Ready condition
	}{
		{sound, v1alpha1.AgentUpgradeSlots, protocol.Committed, "the agent is 2 in slot b"},
		{noImage, v1alpha1.AgentUpgradeSlots, protocol.Refused, "ImagePullBackOff: no such image"},
		{cantStart, v1alpha1.AgentUpgradeSlots, protocol.Refused, "ended with code 2 (Error): unknown flag"},
		{lacksRights, v1alpha1.AgentUpgradeSlots, protocol.Refused, "Permissions: may not list secrets"},
		{cantList, v1alpha1.AgentUpgradeSlots, protocol.Refused, "Definitions: may not list"},
		{stillborn, v1alpha1.AgentUpgradeSlots, protocol.TakenBack, "ended 3 times, the last time with code 2"},
		{useless, v1alpha1.AgentUpgradeSlots, protocol.TakenBack, "Proving took longer than 10s"},
		{sound, v1alpha1.AgentUpgradeRecreate, protocol.Committed, "the agent is 2 in slot b"},
		{stillborn, v1alpha1.AgentUpgradeRecreate, protocol.TakenBack, "ended 3 times"},
		{useless, v1alpha1.AgentUpgradeRecreate, protocol.TakenBack, "Proving took longer"},
	} {
		t.Run(string(tc.mode)+"/"+strings.ReplaceAll(string(tc.flaw), " ", "-"), func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, tc.flaw)
			p.run()
			p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
			p.create(p.attempt(tc.mode))
			p.await("the end", p.hasEnded)
			p.endsWell(tc.end)
			ready := apimeta.FindStatusCondition(p.get().Status.Conditions, "Ready")
			if ready == nil || !strings.Contains(ready.Message, tc.says) {
				t.Errorf("it says %+v, want %q", ready, tc.says)
			}
		})
	}
}

// endsWell checks that an attempt has ended in one of these states, and that the agent works which should then, alone.
func (p *plant) endsWell(states ...protocol.State) {
	p.t.Helper()
	u := p.get()
	if !ends(u, states...) {
		p.t.Errorf("it ended as %s, want %v: %+v", u.Status.Phase, states, u.Status.Failure)
	}
	slot, other, left := v1alpha1.SlotA, v1alpha1.SlotB, int32(-1)
	if u.Status.Phase == protocol.Committed {
		slot, other, left = v1alpha1.SlotB, v1alpha1.SlotA, 0
	}
	p.await("the agent in slot "+string(slot)+" works", func() bool { return p.works(slot) })
	if got := p.replicas(slot); got != 1 {
		p.t.Errorf("slot %s has %d replicas", slot, got)
	}
	if got := p.replicas(other); got != left {
		p.t.Errorf("slot %s has %d replicas, want %d", other, got, left)
	}
	if u.Status.Holder != slot || u.Status.Term != p.holder().Term {
		p.t.Errorf("the status says slot %s in term %d, the lease %+v", u.Status.Holder, u.Status.Term, p.holder())
	}
	for _, left := range []client.Object{
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: agent + "-probe"}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: agent + "-guard"}},
	} {
		p.await(left.GetName()+" is gone", func() bool {
			err := p.c.Get(p.t.Context(), client.ObjectKeyFromObject(left), left)
			return apierrors.IsNotFound(err) || left.GetDeletionTimestamp() != nil
		})
	}
}
