package observe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

// backoff is the pause after a failure: it doubles from the first to the longest, and is spread by half.
type backoff struct{ first, longest time.Duration }

func (b backoff) after(failures int) time.Duration {
	d := b.first << min(failures, 20)
	if d <= 0 || d > b.longest {
		d = b.longest
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads load, hides nothing
}

// pause waits after a failure, until it is time, somebody asks for the place again, or the context ends.
func (w *watcher) pause(ctx context.Context, failures int) {
	t := time.NewTimer(w.backoff.after(failures))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.kick:
	case <-ctx.Done():
	}
}

// settle notes how the present attempt to watch went.
func (w *watcher) settle(err error) {
	var gone []*Event
	w.mu.Lock()
	w.err = err
	if apierrors.IsNotFound(err) { // the kind is no longer served: neither are its objects
		for name := range w.objects {
			gone = append(gone, w.drop(name))
		}
		w.listed = false
		w.kept.clear()
	}
	if tooLarge(err) { // nothing is known of them any more
		clear(w.objects)
		w.listed = false
		w.kept.clear()
	}
	w.settled = true
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	for _, e := range gone {
		w.emit(*e)
	}
}

// await waits until the place is watched or can't be. A watcher that had failed is made to try again.
func (w *watcher) await(ctx context.Context) error {
	w.mu.RLock()
	settled, err, changed := w.settled, w.err, w.changed
	w.mu.RUnlock()
	if settled && err == nil {
		return nil
	}
	if settled {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
	select {
	case <-changed:
		return w.problem()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// problem is why the place is not watched, nil when it is.
func (w *watcher) problem() error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.err
}

// get returns the state of an object, and whether what is not there can be taken as absent.
func (w *watcher) get(name types.NamespacedName) (s State, exists, live bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	s, exists = w.objects[name]
	return s, exists, w.listed && w.err == nil
}

// live tells whether the place is watched right now.
func (w *watcher) live() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.listed && w.err == nil
}

// progress returns the newest resource version seen.
func (w *watcher) progress() string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.upTo
}

// expired tells that the API server no longer knows where the watch was.
func expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// tooLarge tells that there is no room for what is there.
func tooLarge(err error) bool {
	var e *kube.TooLargeError
	return errors.As(err, &e)
}

// away tells that the API server could not be reached or has too much to do: what is known stays good to go on from.
func away(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}
