package aside

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/utils/clock"
)

// controllers are Flux's controllers whose objects the agent works on. Each holds a Lease of its name while it works.
var controllers = [...]string{"kustomize-controller", "source-controller"}

// unknown is what keeps the gate closed before the leases were listed.
const unknown = "it is not yet known whether Flux's controllers work in this cluster"

const leaseSuffix = "-leader-election"

// DefaultNamespace is where Flux's own installer puts its controllers.
const DefaultNamespace = "flux-system"

const (
	// defaultDuration is how long a Lease counts that doesn't say it.
	defaultDuration = 35 * time.Second
	// maxDuration is how long one counts at most after it was seen to be renewed. Flux renews its leases every 5 s.
	maxDuration = time.Minute
	// maxElsewhere bounds the leases outside of Flux's namespaces that are told of.
	maxElsewhere = 10
	// again is the pause before leases are asked for again that could not be watched.
	again = 5 * time.Second
)

// Gate is closed while a controller of Flux works. Make it with New.
type Gate struct {
	client     typedcoordinationv1.CoordinationV1Interface
	namespaces []string
	log        logr.Logger
	clock      clock.WithTicker
	gauge      *prometheus.GaugeVec

	mu sync.Mutex
	// known: every controller's leases have been listed once, or may not be.
	known map[string]bool
	held  map[lease]holder
	said  string
	opens []func()
	// elsewhere are leases of Flux's names in namespaces where it isn't heeded, which have been told of.
	elsewhere map[types.NamespacedName]bool
}

// lease is one Lease of a controller.
type lease struct {
	controller string
	at         types.NamespacedName
}

// holder is who holds a Lease, since when, and until when if it isn't renewed.
type holder struct {
	name           string
	renewed, until time.Time
}

// New returns a gate that Run keeps up to date. Only leases in namespaces count (none given: flux-system): in a namespace of their own most
// may write leases of any name. The metric slipway_standing_aside is put into registry.
func New(client typedcoordinationv1.CoordinationV1Interface, namespaces []string, log logr.Logger, registry prometheus.Registerer) *Gate {
	if len(namespaces) == 0 {
		namespaces = []string{DefaultNamespace}
	}
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "slipway_standing_aside",
		Help: "1 while the agent leaves all objects alone because this controller of Flux works in the cluster.",
	}, []string{"controller"})
	// Another agent in this process has registered it: the two are told apart by nobody.
	_ = registry.Register(gauge)
	return &Gate{
		client: client, namespaces: namespaces, log: log, clock: clock.RealClock{}, gauge: gauge, said: unknown,
		known: map[string]bool{}, held: map[lease]holder{}, elsewhere: map[types.NamespacedName]bool{},
	}
}

// Closed tells whether nothing may be reconciled now. A nil gate is always open.
func (g *Gate) Closed() bool { return g.Why() != "" }

// Why says what keeps the gate closed, for people; empty: it is open.
func (g *Gate) Why() string {
	if g == nil {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed()
}

// opened has fn called whenever the gate opens.
func (g *Gate) opened(fn func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opens = append(g.opens, fn)
}

// closed says what keeps the gate closed, "" if nothing does. It needs g.mu held.
func (g *Gate) closed() string {
	if len(g.known) < len(controllers) {
		return unknown
	}
	var by []string
	for l, h := range g.held {
		if g.clock.Now().Before(h.until) {
			by = append(by, fmt.Sprintf("%s (%s holds the Lease %s)", l.controller, h.name, l.at))
		}
	}
	slices.Sort(by)
	return strings.Join(by, ", ")
}

// settle tells of a change of what keeps the gate closed.
func (g *Gate) settle() {
	g.mu.Lock()
	now := g.closed()
	was := g.said
	g.said = now
	busy := map[string]float64{}
	for l, h := range g.held {
		if g.clock.Now().Before(h.until) {
			busy[l.controller] = 1
		}
	}
	opens := slices.Clone(g.opens)
	known := len(g.known) == len(controllers)
	g.mu.Unlock()
	if !known {
		return
	}
	for _, c := range controllers {
		g.gauge.WithLabelValues(c).Set(busy[c])
	}
	switch {
	case now != "" && now != was:
		g.log.Info("Standing aside: Flux works in this cluster, and two engines must not write the same objects. Hand objects over by a label and "+
			"--watch-label-selector, or scale Flux's controllers down", "working", now)
	case now == "" && was != "" && was != unknown:
		g.log.Info("No longer standing aside: Flux's controllers have given up their leases")
	}
	if now == "" && was != "" {
		for _, fn := range opens {
			fn()
		}
	}
}

// Run keeps the gate up to date until the context ends.
func (g *Gate) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, controller := range controllers {
		wg.Go(func() { g.follow(ctx, controller) })
	}
	wg.Wait()
	return nil
}

func (g *Gate) follow(ctx context.Context, controller string) {
	for ctx.Err() == nil {
		err := g.once(ctx, controller)
		if apierrors.IsForbidden(err) {
			g.log.Info("Nobody looks whether Flux works in this cluster: the agent may not list leases", "lease", controller+leaseSuffix)
			g.mu.Lock()
			g.known[controller] = true
			g.mu.Unlock()
			g.settle()
			<-ctx.Done()
			return
		}
		select {
		case <-ctx.Done():
		case <-g.clock.After(again):
		}
	}
}

// once lists the leases of a controller in all namespaces, and watches them until the watch ends.
func (g *Gate) once(ctx context.Context, controller string) error {
	api := g.client.Leases(metav1.NamespaceAll)
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, controller+leaseSuffix).String()}
	list, err := api.List(ctx, opts)
	if err != nil {
		return err
	}
	g.mu.Lock()
	maps.DeleteFunc(g.held, func(l lease, _ holder) bool {
		return l.controller == controller && !slices.ContainsFunc(list.Items, func(there coordinationv1.Lease) bool { return leaseOf(controller, &there) == l })
	})
	for i := range list.Items {
		g.take(controller, &list.Items[i], false)
	}
	g.known[controller] = true
	g.mu.Unlock()
	g.settle()
	opts.ResourceVersion = list.ResourceVersion
	stream, err := api.Watch(ctx, opts)
	if err != nil {
		return err
	}
	defer stream.Stop()
	for {
		expiry := g.expiry()
		select {
		case <-ctx.Done():
			return nil
		case <-expiry.C():
		case e, open := <-stream.ResultChan():
			if !open || e.Type == watch.Error {
				expiry.Stop()
				return nil
			}
			if seen, ok := e.Object.(*coordinationv1.Lease); ok {
				g.mu.Lock()
				g.take(controller, seen, e.Type != watch.Deleted)
				if e.Type == watch.Deleted {
					delete(g.held, leaseOf(controller, seen))
				}
				g.mu.Unlock()
			}
		}
		expiry.Stop()
		g.settle()
	}
}

// expiry fires when the first Lease runs out that is held now, or in an hour.
func (g *Gate) expiry() clock.Timer {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := time.Hour
	for _, h := range g.held {
		if left := h.until.Sub(g.clock.Now()); left > 0 {
			next = min(next, left+time.Second)
		}
	}
	return g.clock.NewTimer(next)
}

func leaseOf(controller string, l *coordinationv1.Lease) lease {
	return lease{controller: controller, at: types.NamespacedName{Namespace: l.Namespace, Name: l.Name}}
}

// take notes who holds a Lease. One that is seen to have been renewed counts from now on: clocks differ, and are set. It needs g.mu held.
func (g *Gate) take(controller string, l *coordinationv1.Lease, now bool) {
	key := leaseOf(controller, l)
	if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || l.Spec.RenewTime == nil {
		delete(g.held, key)
		return
	}
	if !slices.Contains(g.namespaces, l.Namespace) {
		g.notice(key)
		return
	}
	renewed, who := l.Spec.RenewTime.Time, *l.Spec.HolderIdentity
	was, known := g.held[key]
	if known && was.name == who && was.renewed.Equal(renewed) {
		return // listed again, or changed otherwise
	}
	lasts := defaultDuration
	if l.Spec.LeaseDurationSeconds != nil {
		lasts = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
	}
	from, latest := renewed, g.clock.Now()
	if now || known || from.After(latest) { // known: it was renewed while nobody watched
		from = latest
	}
	g.held[key] = holder{name: who, renewed: renewed, until: from.Add(min(lasts, maxDuration))}
}

// notice tells of a Lease with the name of Flux's that does not count, once. It needs g.mu held.
func (g *Gate) notice(l lease) {
	if g.elsewhere[l.at] || len(g.elsewhere) == maxElsewhere {
		return
	}
	g.elsewhere[l.at] = true
	g.log.Info("Not standing aside for a Lease with the name of Flux's: it is in a namespace where Flux isn't expected. If Flux does run there, "+
		"name the namespace with --flux-namespace", "lease", l.at.String(), "expected", g.namespaces)
}
