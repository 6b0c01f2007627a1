package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// counted is a way to the API server that counts the lists and watches of attempts.
type counted struct {
	next           http.RoundTripper
	lists, watches atomic.Int32
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.Method != http.MethodGet || path.Base(req.URL.Path) != "agentupgrades":
	case req.URL.Query().Has("watch"):
		c.watches.Add(1)
	default:
		c.lists.Add(1)
	}
	return c.next.RoundTrip(req)
}

// drives runs a driver of slot a that leads until the test ends.
func (p *plant) drives(client client.WithWatch) {
	p.t.Helper()
	d := p.driver(func(o *upgrade.Options) { o.Client, o.Leading = client, func() bool { return true } })
	ctx, stop := context.WithCancel(p.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.Run(ctx, client) })
	p.t.Cleanup(func() { stop(); running.Wait() })
}

// TestWhatHasEndedCostsNothing: a driver is told of changes, not of what was there, and isn't woken by its own writes.
func TestWhatHasEndedCostsNothing(t *testing.T) {
	t.Parallel()
	p := newPlant(t, sound)
	for i := range 8 {
		p.ended(fmt.Sprintf("earlier-%d", i), protocol.Refused, "ProbeFailed", -time.Hour)
	}
	cfg, count := rest.CopyConfig(p.env.Config), &counted{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { count.next = next; return count })
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: p.c.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	p.drives(c)
	p.await("it watches", func() bool { return count.watches.Load() == 1 && count.lists.Load() >= 2 })
	u := attempt(v1alpha1.AgentUpgradeAdvise)
	p.create(u)
	p.await("it is advised", func() bool { return p.get().Status.Phase == protocol.Advised })
	// Something that the watch tells of after all that came before.
	looks := count.lists.Load()
	p.annotate("a", "b")
	p.await("it looks again", func() bool { return count.lists.Load() > looks })
	// One for where the watch begins, and then one for what is there, what was made, what came of that, and what was changed.
	if lists, watches := count.lists.Load(), count.watches.Load(); lists > 5 || watches != 1 {
		t.Errorf("%d lists and %d watches", lists, watches)
	}
}

// reluctant is an API server that answers lists and watches in one way.
type reluctant struct {
	client.WithWatch
	err   error
	asked atomic.Int32
}

func (r *reluctant) List(context.Context, client.ObjectList, ...client.ListOption) error {
	r.asked.Add(1)
	return r.err
}

func (r *reluctant) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	r.asked.Add(1)
	return nil, r.err
}

func TestADriverThatMayNotSeeIsPatient(t *testing.T) {
	what := schema.GroupResource{Group: "slipway.dev", Resource: "agentupgrades"}
	for name, tc := range map[string]struct {
		reason           string
		err              error
		atLeast, atMost  int32 // requests in an hour
		said             int32
		firstAgainWithin time.Duration
	}{
		"Forbidden":  {"that changes seldom, and is told once", apierrors.NewForbidden(what, "", errors.New("no")), 6, 7, 1, 11 * time.Minute},
		"Unknown":    {"an older installation needn't be told", apierrors.NewNotFound(what, ""), 6, 7, 0, 11 * time.Minute},
		"OutOfReach": {"it may answer at any moment, and the same is told once", errors.New("no route"), 200, 400, 1, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said atomic.Int32
				api := &reluctant{err: tc.err}
				d := upgrade.New(upgrade.Options{
					Client: api, Namespace: "ns", Name: names(), Slot: v1alpha1.SlotA,
					Log: funcr.New(func(string, string) { said.Add(1) }, funcr.Options{}),
				})
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				done := make(chan struct{})
				go func() { defer close(done); _ = d.Run(ctx, api) }()
				<-time.After(tc.firstAgainWithin)
				synctest.Wait()
				if api.asked.Load() < 2 {
					t.Errorf("%s: it asked %d times in %s", tc.reason, api.asked.Load(), tc.firstAgainWithin)
				}
				<-done
				if asked, said := api.asked.Load(), said.Load(); asked < tc.atLeast || asked > tc.atMost || said != tc.said {
					t.Errorf("%s: it asked %d times in an hour, and said something %d times", tc.reason, asked, said)
				}
			})
		})
	}
}

// TestOldAttemptsAreDeleted: the newest ten are kept, and the last that was committed.
func TestOldAttemptsAreDeleted(t *testing.T) {
	t.Parallel()
	p := newPlant(t, sound)
	p.ended("worked-long-ago", protocol.Committed, "", -4*time.Hour)
	p.ended("worked", protocol.Committed, "", -3*time.Hour)
	for i := range 12 {
		p.ended(fmt.Sprintf("failed-%02d", i), protocol.Refused, "ProbeFailed", -time.Duration(i+1)*time.Minute)
	}
	p.drives(p.c)
	want := []string{
		"failed-00", "failed-01", "failed-02", "failed-03", "failed-04", "failed-05", "failed-06", "failed-07", "failed-08", "failed-09", "worked",
	}
	var left []string
	err := wait.PollUntilContextTimeout(t.Context(), poll, patience, true, func(ctx context.Context) (bool, error) {
		var all v1alpha1.AgentUpgradeList
		if err := p.c.List(ctx, &all, client.InNamespace(p.namespace)); err != nil {
			return false, err
		}
		left = nil
		for _, u := range all.Items {
			left = append(left, u.Name)
		}
		return slices.Equal(left, want), nil
	})
	if err != nil {
		t.Errorf("%v: there are %v, want %v", err, left, want)
	}
}
