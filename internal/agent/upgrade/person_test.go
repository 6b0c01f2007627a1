package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

func TestAPersonTakesItBack(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		flaw   flaw
		when   protocol.State
		how    func(*plant)
		want   protocol.State
	}{
		"DeletedMidway": {
			"deleting it takes it back, and then it is gone", useless, protocol.Proving, func(p *plant) {
				if err := p.c.Delete(p.t.Context(), p.get()); err != nil {
					p.t.Fatal(err)
				}
			}, protocol.Gone,
		},
		"AnnotatedMidway": {
			"an annotation with the digest", useless, protocol.Proving, func(p *plant) {
				p.annotate(v1alpha1.RollbackAnnotation, strings.Split(newImage, "@")[1])
			}, protocol.TakenBack,
		},
		"AskedForAnother": {
			"the command goes on although somebody has asked for the rollback of another image", sound, protocol.Committed, func(p *plant) {
				p.annotate(v1alpha1.RollbackAnnotation, strings.Split(oldImage, "@")[1])
				p.takeBack()
			}, protocol.TakenBack,
		},
		"AfterTheCommit": {
			"the command brings the old agent back, whose template was kept", sound, protocol.Committed, (*plant).takeBack, protocol.TakenBack,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, tc.flaw)
			p.run()
			p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
			p.create(attempt(v1alpha1.AgentUpgradeSlots))
			p.await(string(tc.when), func() bool { return p.get().Status.Phase == tc.when })
			tc.how(p)
			p.await(string(tc.want), func() bool {
				u := &v1alpha1.AgentUpgrade{}
				err := p.c.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "next"}, u)
				return tc.want == protocol.Gone && apierrors.IsNotFound(err) || err == nil && u.Status.Phase == tc.want
			})
			p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
			if a, b := p.replicas(v1alpha1.SlotA), p.replicas(v1alpha1.SlotB); a != 1 || b != -1 {
				t.Errorf("%s: slot a has %d replicas, slot b %d", tc.reason, a, b)
			}
		})
	}
}

// annotate says something to the attempt, as a person would, whatever drivers write meanwhile.
func (p *plant) annotate(key, value string) {
	p.t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value))
	if err := p.c.Patch(p.t.Context(), p.get(), patch); err != nil {
		p.t.Fatal(err)
	}
}

// takeBack is 'slipway agent rollback'.
func (p *plant) takeBack() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	d := p.driver(nil)
	u, err := d.Latest(ctx, "")
	if err != nil {
		p.t.Fatal(err)
	}
	if err := d.TakeBack(ctx, u); err != nil {
		p.t.Fatal(err)
	}
}

// TestThereAndBack: from a to b, and from b to a with the next image.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	p := newPlant(t, sound)
	p.run()
	p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
	d := p.driver(nil)
	for i, want := range []v1alpha1.AgentSlot{v1alpha1.SlotB, v1alpha1.SlotA} {
		image := strings.Replace(newImage, "1111", "222"+string(rune('0'+i)), 1)
		u, err := d.Begin(t.Context(), upgrade.BeginOptions{Image: image})
		if err != nil {
			t.Fatal(err)
		}
		p.await("the end", func() bool {
			if err := p.c.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
				t.Fatal(err)
			}
			return u.Status.Phase.Ended()
		})
		if u.Status.Phase != protocol.Committed || u.Spec.To.Slot != want {
			t.Fatalf("it is %s in slot %s: %+v", u.Status.Phase, u.Spec.To.Slot, u.Status.Failure)
		}
		p.await("the new agent works", func() bool { return p.works(want) })
		if err := p.c.Delete(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		p.await("it is gone", func() bool { return apierrors.IsNotFound(p.c.Get(t.Context(), client.ObjectKeyFromObject(u), u)) })
		running, err := d.Running(t.Context())
		if err != nil || running.Image != image || running.Slot != want {
			t.Errorf("what runs is %+v, %v", running, err)
		}
	}
	if _, err := d.Begin(t.Context(), upgrade.BeginOptions{Image: "example.com/slipway:latest"}); !errors.Is(err, upgrade.ErrUsage) {
		t.Errorf("an image without a digest: %v, want ErrUsage", err)
	}
}

// TestAnInstallationTakesOver: what a person installs in slot a works, and slot b is removed; not beside an attempt.
func TestAnInstallationTakesOver(t *testing.T) {
	t.Parallel()
	p := newPlant(t, sound)
	p.run()
	p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
	p.create(attempt(v1alpha1.AgentUpgradeSlots))
	d := p.driver(nil)
	var underWay *upgrade.UnderWayError
	p.await("it is under way", func() bool { return errors.As(d.Idle(t.Context()), &underWay) })
	p.await("the end", func() bool { return p.get().Status.Phase.Ended() })
	if err := d.Idle(t.Context()); err != nil {
		t.Error(err)
	}
	p.edit(func(s *appsv1.StatefulSet) { s.Spec.Replicas = new(int32(1)) }) // as an installation does
	if elsewhere, err := d.Elsewhere(t.Context()); err != nil || !elsewhere {
		t.Errorf("elsewhere: %v, %v", elsewhere, err)
	}
	if err := errors.Join(d.Settle(t.Context()), d.RemoveOther(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.await("slot a works", func() bool { return p.works(v1alpha1.SlotA) })
	if b := p.replicas(v1alpha1.SlotB); b != -1 {
		t.Errorf("slot b has %d replicas", b)
	}
}
