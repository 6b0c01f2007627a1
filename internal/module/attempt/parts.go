package attempt

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// Group is the API group of the labels by which objects name their module: slipway.dev/name.
const Group = "slipway.dev"

// concurrent is how many modules are worked on at once.
const concurrent = 12

// Planner finds out what an attempt would do.
type Planner interface {
	// Plan makes a plan that was asked for at a time. An error is a *plan.Unavailable: somebody didn't answer.
	Plan(ctx context.Context, m *v1alpha1.Module, asked time.Time) (*plan.Plan, error)
}

// Looker tells cheaply whether something else may be wanted than in the last plan. A Planner that is none makes a plan each time.
type Looker interface {
	// Inputs is Plan.Inputs of the plan that would be made now.
	Inputs(ctx context.Context, m *v1alpha1.Module) (v1alpha1.Digest, error)
}

// Permit says whether a good plan may be carried out now.
type Permit struct {
	MayStart bool
	// WaitsFor says what has to come first, in words.
	WaitsFor []string
	// Person says that a person has to do something: what is waited for doesn't come by itself.
	Person bool
	// Next is when it is worth another look. The zero time: when something changes.
	Next time.Time
}

// Permits says whether plans may be carried out.
type Permits interface {
	May(ctx context.Context, m *v1alpha1.Module, p *plan.Plan, now time.Time) (Permit, error)
}

// Events records what happens to modules; kube.Recorder does.
type Events interface {
	Event(obj client.Object, details map[string]string, warning bool, reason, message string)
}

// Parts are the layers below. Modules reads Modules, and may be a cache; Direct reads and writes everything else, and must not be one.
type Parts struct {
	Modules client.Reader
	Direct  client.Client
	Clients *kube.Clients
	Engine  *apply.Engine
	Pool    *observe.Pool
	Store   *revision.Store
	Planner Planner
	// Permits decides when plans are carried out. Nil: at once.
	Permits Permits
	// Events is told what happens. Nil: nobody is.
	Events Events
	// Assess judges an object that is read by itself. Nil: health.Assess.
	Assess func(*unstructured.Unstructured) health.Verdict
	// Metrics counts what becomes of attempts. Nil: nobody counts.
	Metrics *Metrics
	// Namespace is the agent's: what Modules name is there.
	Namespace string
	// Secret reads a Secret that a module names, if that is for it. Nil: no Module may name any.
	Secret func(ctx context.Context, m *v1alpha1.Module, name string) (map[string][]byte, error)
	// HTTP asks Prometheus servers. Nil: a client with a timeout of its own.
	HTTP *http.Client
}

// Settings are bounds and pauses. The zero value of each is its default.
type Settings struct {
	// PlanAtOnce is how many modules are planned at once, at most. Default: half of those that are worked on at once.
	PlanAtOnce int
	// Grace is how long an object may be Degraded before the attempt fails: much of what begins looks so at first. Default: 10s.
	Grace time.Duration
	// Retry is the pause before something is tried again that was stopped by chance. Default: 1s.
	Retry time.Duration
	// CheckEvery is the pause between two looks at the checks of the gate, and at what can't be watched. Default: 5s.
	CheckEvery time.Duration
	// HangAfter is how long a deletion may take before what hangs is named. Default: 30s.
	HangAfter time.Duration
	// Sweep is how often a module at rest is compared with the cluster although nothing seems to have changed. Default: 6h; spread a little.
	Sweep time.Duration
	// PlanWithin bounds the making of a plan. Default: 5m.
	PlanWithin time.Duration
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

func (s Settings) withDefaults() Settings {
	s.PlanAtOnce = cmp.Or(s.PlanAtOnce, concurrent/2)
	s.Grace = cmp.Or(s.Grace, 10*time.Second)
	s.Retry = cmp.Or(s.Retry, time.Second)
	s.CheckEvery = cmp.Or(s.CheckEvery, 5*time.Second)
	s.HangAfter = cmp.Or(s.HangAfter, 30*time.Second)
	s.Sweep = cmp.Or(s.Sweep, 6*time.Hour)
	s.PlanWithin = cmp.Or(s.PlanWithin, 5*time.Minute)
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}
