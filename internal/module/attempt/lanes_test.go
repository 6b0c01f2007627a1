package attempt

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

type planner func(context.Context, *v1alpha1.Module) (*plan.Plan, error)

func (p planner) Plan(ctx context.Context, m *v1alpha1.Module) (*plan.Plan, error) { return p(ctx, m) }

// TestPlansLeaveWorkersFree: while a registry hangs, no more workers wait for it than may; who would be one more is woken when one is done.
func TestPlansLeaveWorkersFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	var plans atomic.Int32
	begun, answer := make(chan struct{}), make(chan struct{})
	a := w.start(func(p *Parts, s *Settings) {
		s.PlanAtOnce = 1
		p.Planner = planner(func(ctx context.Context, m *v1alpha1.Module) (*plan.Plan, error) {
			if plans.Add(1) == 1 {
				close(begun)
				<-answer
			}
			return w.pack.Plan(ctx, m)
		})
	})
	w.want("1.0.0")
	other := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-other"}}
	other.Spec = w.module().Spec
	other.Spec.Version = "9.9.9"
	if err := w.client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	look := func(name string) {
		if _, err := a.Reconcile(a.ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil && a.ctx.Err() == nil {
			t.Errorf("reconcile %s: %v", name, err)
		}
	}
	var working sync.WaitGroup
	working.Go(func() { look(w.name) })
	<-begun
	look(other.Name)
	look(other.Name)
	if n := plans.Load(); n != 1 {
		t.Errorf("%d plans are made at once, want 1", n)
	}
	select {
	case <-a.woken:
	default:
	}
	close(answer)
	w.eventually("the other is woken", func() bool {
		select {
		case name := <-a.woken:
			return name == other.Name
		default:
			return false
		}
	})
	working.Wait()
	look(other.Name)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil {
		t.Fatal(err)
	}
	if other.Status.Phase != lifecycle.Blocked {
		t.Errorf("the other is %q, want it planned", other.Status.Phase)
	}
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
}
