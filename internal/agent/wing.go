package agent

import (
	"context"
	"fmt"
	"sync"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/builtin"
)

// wing is delivery in the agent's process. Where agents elect one of them it has a manager of its own for each shift: while another process
// serves delivery this one stands by, as a replica does that doesn't lead.
type wing struct {
	*ground
	post   *duty.Post // nil: delivery is served with everything else
	mapper apimeta.RESTMapper

	mu  sync.Mutex
	now *deliverer
}

// shift is one life of the wing.
type shift struct {
	ctx   context.Context //nolint:containedctx // the shift's end
	leave context.CancelFunc
	mgr   manager.Manager
}

// join registers delivery with the agent's manager.
func (w *wing) join(ctx context.Context, mgr manager.Manager) error {
	if w.post == nil {
		d, err := setUpDelivery(ctx, mgr, w.clients, w.ground)
		w.now = d
		return err
	}
	first, err := w.open(ctx)
	if err != nil {
		return err
	}
	for _, r := range []manager.Runnable{
		leading(w.post.Follow),
		everywhere(func(ctx context.Context) error { return w.run(ctx, first) }),
	} {
		if err := mgr.Add(r); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	return nil
}

// open sets up the next shift, which ends when ctx does, or another process is to serve delivery.
func (w *wing) open(ctx context.Context) (*shift, error) {
	fence := &term.Fence{}
	cfg := rest.CopyConfig(w.cfg)
	cfg.Wrap(fence.Wrap)
	ctx, lock := w.post.Shift(ctx, fence)
	s := &shift{ctx: ctx, leave: lock.Leave}
	var err error
	if s.mgr, err = newManager(cfg, managing{lock: lock, id: lock.Describe(), mapper: w.mapper}, w.opts); err != nil {
		return nil, err
	}
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return nil, err
	}
	d, err := setUpDelivery(ctx, s.mgr, clients, w.ground)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = d
	return s, nil
}

// run serves shift after shift until ctx ends.
func (w *wing) run(ctx context.Context, s *shift) error {
	defer context.AfterFunc(ctx, s.leave)() // the first was begun before this manager was
	for {
		if err := s.mgr.Start(s.ctx); err != nil {
			return fmt.Errorf("serve delivery: %w", err)
		}
		s.leave()
		w.tel.Unobserve()
		if ctx.Err() != nil {
			return nil
		}
		var err error
		if s, err = w.open(ctx); err != nil {
			return err
		}
	}
}

func (w *wing) current() *deliverer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// definitionChanged tells delivery of a definition that came, changed or went.
func (w *wing) definitionChanged(name string) {
	if d := w.current(); d != nil {
		d.definitionChanged(name)
	}
}

// elsewhere names the process that serves delivery in place of the agent; empty: none does.
func (w *wing) elsewhere() string {
	if w.post == nil {
		return ""
	}
	_, other := w.post.Serving()
	return other
}

// unserved says why nobody serves delivery, or that this process doesn't yet. Empty: somebody does.
func (w *wing) unserved() string {
	if w.elsewhere() != "" {
		return ""
	}
	select {
	case <-w.current().elected:
		return ""
	default:
		return "delivery isn't served yet"
	}
}

// capability says how delivery is, as a module.
func (w *wing) capability(context.Context) (builtin.Serving, error) {
	if by := w.elsewhere(); by != "" {
		return builtin.Serving{By: by}, nil
	}
	if problem := w.unserved(); problem != "" {
		return builtin.Serving{Problem: problem}, nil
	}
	return builtin.Serving{Problem: w.current().problem()}, nil
}

// Get implements client.Reader, by the cache of the current shift.
func (w *wing) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return w.current().reader.Get(ctx, key, obj, opts...)
}

// List implements client.Reader, by the cache of the current shift.
func (w *wing) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return w.current().reader.List(ctx, list, opts...)
}

// parts are the parts of Slipway that run in this process.
func (w *wing) parts() map[string]builtin.Capability {
	return map[string]builtin.Capability{v1alpha1.BuiltinDelivery: w.capability}
}
