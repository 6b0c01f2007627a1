package delivery_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
)

// setClock is a machine's clock that somebody sets: what it shows jumps, while the time that Go measures pauses with runs on. No call of
// package time makes such a time, as both are moved by time.Time.Add.
type setClock struct{ seconds atomic.Int64 }

func (c *setClock) set(by time.Duration) { c.seconds.Add(int64(by / time.Second)) }

// Now implements clock.PassiveClock.
func (c *setClock) Now() time.Time {
	t := time.Now()
	// The first word of a time with a monotonic reading: one bit that says so, 33 bits of seconds, 30 bits of nanoseconds.
	wall := (*uint64)(unsafe.Pointer(&t)) //nolint:gosec // see TestASetClockIsOne
	*wall += uint64(c.seconds.Load() << 30)
	return t
}

// Since implements clock.PassiveClock.
func (c *setClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func TestASetClockIsOne(t *testing.T) {
	var c setClock
	for _, by := range []time.Duration{24 * time.Hour, -25 * time.Hour} {
		shown, before, real := c.Now(), c.Now().Round(0), time.Now()
		c.set(by)
		if d := c.Now().Round(0).Sub(before) - by; d.Abs() > time.Second {
			t.Errorf("set by %s the clock shows %s more", by, d)
		}
		if d, want := c.Since(shown), time.Since(real); d < 0 || d > want+time.Second {
			t.Errorf("set by %s the clock measured a pause of %s, which was about %s", by, d, want)
		}
	}
}

// front is what stands before the world's Git server and counts the questions that it is asked.
func (w *world) front(asked *atomic.Int64) string {
	w.Helper()
	at, err := url.Parse(w.repo.URL())
	if err != nil {
		w.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: at.Scheme, Host: at.Host}) }}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			asked.Add(1)
		}
		forward.ServeHTTP(rw, r)
	}))
	w.Cleanup(server.Close)
	return server.URL + at.Path
}

// TestClockThatIsSet puts the machine's clock forward by a day and back by more, while a Kustomization waits for health, one has failed,
// one is applied, and sources are polled.
func TestClockThatIsSet(t *testing.T) {
	t.Parallel()
	now := &setClock{}
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.Clock, o.Sources.Clock = now, now })
	revision := w.commit(map[string]string{"app/a.yaml": configMapFile("a", "1"), "web/web.yaml": deploymentFile("web", "web:1")})
	var asked atomic.Int64
	url := w.front(&asked)
	seldom := w.source(func(r *sourcev1.GitRepository) {
		r.Spec.URL, r.Spec.Timeout = url, &metav1.Duration{Duration: 20 * time.Second}
	})
	app := w.kustomization("app", in("app"))
	web := w.kustomization("web", in("web"), waiting(10*time.Minute))
	failing := w.kustomization("failing", in("later"), func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = &metav1.Duration{Duration: time.Hour} })
	w.applied(app, revision)
	w.refused(failing, "InvalidPath")
	waits := func() {
		t.Helper()
		token := w.request(web)
		until(w, web, "the request is seen", func() bool {
			if c := ready(web.Status.Conditions); c.Status == metav1.ConditionFalse {
				t.Fatalf("a wait of ten minutes ended: %v", c)
			}
			return web.Annotations[meta.ReconcileRequestAnnotation] == token
		})
	}
	goesOn := func(value string) {
		t.Helper()
		w.edit("a", "by hand", "somebody")
		w.value("a", value)
		waits()
	}
	goesOn("1")
	began := time.Now()
	quick := w.kustomization("quick", in("web"), waiting(30*time.Second), func(k *kustomizev1.Kustomization) { k.Spec.NamePrefix = "quick-" })
	until(w, quick, "it waits", func() bool { return ready(quick.Status.Conditions).Status == metav1.ConditionUnknown })

	for _, by := range []time.Duration{24 * time.Hour, -25 * time.Hour, time.Hour} {
		before := asked.Load()
		now.set(by)
		goesOn("1")
		// Whatever is due is due once; the sources are asked every hour, and nobody has waited for one.
		token := w.request(app)
		until(w, app, "the request is answered", func() bool { return app.Status.LastHandledReconcileAt == token })
		if n := asked.Load() - before; n > 0 {
			t.Errorf("set by %s: the Git server was asked %d times", by, n)
		}
	}

	now.set(-25 * time.Hour)
	message := w.refused(quick, meta.HealthCheckFailedReason)
	if took := time.Since(began); !strings.Contains(message, "timeout after 30s") || took < 30*time.Second {
		t.Errorf("a wait of 30 s ended after %s: %s", took, message)
	}
	update(w, seldom, func(r *sourcev1.GitRepository) { r.Spec.Interval = metav1.Duration{Duration: time.Second} })
	second := w.commit(map[string]string{"app/a.yaml": configMapFile("a", "2"), "later/b.yaml": configMapFile("b", "1")})
	w.applied(app, second) // the source is polled
	w.applied(failing, second)
	w.value("a", "2")
	if h := app.Status.History; h[0].Metadata["revision"] != second {
		t.Errorf("the newest is first in the history, whatever the clock says: %v", h)
	}
	w.rollOut("web")
	w.applied(web, second)

	started := asked.Load()
	now.set(24 * time.Hour)
	third := w.commit(map[string]string{"app/a.yaml": configMapFile("a", "3")})
	began = time.Now()
	w.applied(app, third)
	if n, most := asked.Load()-started, int64(2*time.Since(began)/time.Second)+4; n > most {
		t.Errorf("after a jump of a day a source with an interval of a second was asked %d times in %s", n, time.Since(began))
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(web), web); err != nil || ready(web.Status.Conditions).Status != metav1.ConditionTrue {
		t.Errorf("what was healthy stays so: %v, %v", web.Status.Conditions, err)
	}
}
