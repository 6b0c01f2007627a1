package duty

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
)

// pause is what is waited after the Lease couldn't be watched.
const pause = 5 * time.Second

// errWatch says that the API server ended a watch with an error.
var errWatch = errors.New("the watch broke")

// Follow watches the Lease until ctx ends. Only the agent that leads is to call it. While the Lease can't be watched the agent renews it as
// servers do, and serves if nobody else does.
func (p *Post) Follow(ctx context.Context) error {
	defer p.deaf(false)
	for ctx.Err() == nil {
		err := p.follow(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		p.opts.Log.V(1).Info("The lease can't be watched", "lease", p.opts.Name, "because", err.Error())
		p.deaf(true)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// deaf notes that the Lease isn't watched now.
func (p *Post) deaf(wanted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watching, p.wanted = false, wanted
}

// follow reads the Lease, and watches it until the watch ends.
func (p *Post) follow(ctx context.Context) error {
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, p.opts.Name).String()}
	list, err := p.opts.Leases.List(ctx, opts)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	var lease *coordinationv1.Lease
	if len(list.Items) > 0 {
		lease = &list.Items[0]
	}
	again := p.note(lease)
	if err := p.announce(ctx); err != nil {
		return err
	}
	opts.ResourceVersion = list.ResourceVersion
	stream, err := p.opts.Leases.Watch(ctx, opts)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer stream.Stop()
	for {
		var later <-chan time.Time
		if again > 0 {
			later = time.After(again)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-later:
			again = p.look()
		case e, open := <-stream.ResultChan():
			if !open {
				return nil
			}
			seen, ok := e.Object.(*coordinationv1.Lease)
			switch {
			case e.Type == watch.Error || !ok:
				return errWatch
			case e.Type == watch.Deleted:
				again = p.gone(seen)
			default:
				again = p.note(seen)
				if err := p.announce(ctx); err != nil {
					return err
				}
			}
		}
	}
}

// announce writes the agent's terms on a Lease that a server holds, where they are other ones: it may have got them from an agent before.
func (p *Post) announce(ctx context.Context) error {
	p.mu.Lock()
	seen := p.seen
	p.mu.Unlock()
	if !served(seen) || termsOf(seen) == p.opts.Terms || !p.opts.Leading() {
		return nil
	}
	lease := seen.DeepCopy()
	agree(lease, p.opts.Terms)
	_, err := p.opts.Leases.Update(ctx, lease, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what it is now is about to be told
	}
	if err != nil {
		return fmt.Errorf("write the terms: %w", err)
	}
	return nil
}

// note takes in what the Lease was read or told to be; nil: there is none.
func (p *Post) note(lease *coordinationv1.Lease) (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watching = true
	p.see(lease)
	return p.decide(time.Now())
}

// gone takes in that a Lease was deleted. One that was made since is another.
func (p *Post) gone(lease *coordinationv1.Lease) (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil || p.seen.UID == lease.UID {
		p.see(nil)
	}
	return p.decide(time.Now())
}

func (p *Post) look() (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decide(time.Now())
}

// see notes a Lease that was read, told of or written, unless a newer one is known. It needs p.mu held.
func (p *Post) see(lease *coordinationv1.Lease) {
	if p.seen != nil && lease != nil && p.seen.UID == lease.UID {
		newer, err := resourceversion.CompareResourceVersion(lease.ResourceVersion, p.seen.ResourceVersion)
		if err == nil && newer <= 0 {
			return
		}
	}
	now := time.Now()
	switch {
	case holderOf(lease) == p.opts.Identity:
		p.barred = time.Time{}
	case served(p.seen) && (lease == nil || lease.UID != p.seen.UID || asked(lease) == "" || ByAgent(holderOf(lease))): // no server writes that
		p.barred = now.Add(p.opts.TakeBack)
	}
	p.seen, p.since = lease, now
}
