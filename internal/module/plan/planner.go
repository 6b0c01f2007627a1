package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// The checks, as PlanProblem.Check names them, in the order in which they are made.
const (
	CheckResolve     = "Resolve"
	CheckVerify      = "Verify"
	CheckRender      = "Render"
	CheckDryRun      = "DryRun"
	CheckOwners      = "Owners"
	CheckDefinitions = "Definitions"
	CheckPermissions = "Permissions"
	CheckImages      = "Images"
	CheckDependants  = "Dependants"
	CheckBaseline    = "Baseline"
)

// Settings are what a Planner works with.
type Settings struct {
	// Clients speak to the cluster as whoever plans: the agent, or a person. Required.
	Clients *kube.Clients
	// Client reads and writes the kinds of slipway.dev, of RBAC, of admission and definitions of kinds. Nothing is written but questions about
	// rights. Required.
	Client client.Client
	// Revisions of modules. Required.
	Revisions *revision.Store
	// Packages of modules. Required.
	Packages Packages
	// Images tells which images there are. Nil: nobody asks.
	Images Images
	// Assess judges the health of objects. Default: health.Assess.
	Assess func(*unstructured.Unstructured) health.Verdict
	// Agent is where the agent lives in the cluster.
	Agent permit.Agent
	// Version of Slipway, against which packages' ranges are held. Empty: not known, and every range has it.
	Version string
	// Concurrency is how many requests one plan has under way at once. Default: 8.
	Concurrency int
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

// Planner makes plans. It is safe for concurrent use.
type Planner struct {
	Settings

	engine *apply.Engine
	survey *survey
	mu     sync.Mutex
	served *served
}

// New returns a planner.
func New(s Settings) *Planner {
	if s.Assess == nil {
		s.Assess = health.Assess
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.Concurrency = cmp.Or(max(s.Concurrency, 0), 8)
	return &Planner{Settings: s, survey: newSurvey(s.Client), engine: apply.New(s.Clients, nil, apply.Settings{Concurrency: s.Concurrency})}
}

// Plan finds out what an attempt to bring the module to what its spec wants would do. It writes nothing. What stands in the way is in Problems, all
// of it at once; the error is *Unavailable, or the context's.
//
// asked is when the plan was asked for. What all plans share, such as the roles of the cluster, may have been read since then, but not more
// than two seconds ago. Zero: it is read now.
func (p *Planner) Plan(ctx context.Context, m *v1alpha1.Module, asked time.Time) (*Plan, error) {
	d := &draft{Planner: p, module: m, since: from(asked), plan: &Plan{Module: m.Name, Generation: m.Generation, At: p.Now().UTC()}}
	for _, check := range []func(context.Context, *draft) error{
		history, bound, resolve, render,
		learn, dryRun, owners, definitions, permissions, rights, images, dependants, baseline, reversible,
	} {
		if err := check(ctx, d); err != nil {
			if errors.Is(err, errEnough) {
				break
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			var unavailable *Unavailable
			if errors.As(err, &unavailable) {
				return nil, unavailable
			}
			return nil, &Unavailable{Err: err}
		}
	}
	d.plan.Problems = bounded(sorted(d.plan.Problems))
	slices.Sort(d.plan.Unseen)
	return d.plan, nil
}

// errEnough ends a plan whose other checks have nothing to look at.
var errEnough = errors.New("nothing else to check")

// draft is a plan that is being made.
type draft struct {
	*Planner
	module *v1alpha1.Module
	since  time.Time // when what all plans share may have been read
	plan   *Plan

	// current is the committed revision, nil if there is none. known are all objects that a revision of this module has, or had; found are those
	// that were there before it.
	current *revision.Revision
	known   map[kube.Ref]bool
	found   map[kube.Ref]bool
	grant   *v1alpha1.ModuleGrant
	pkg     *Package
	served  *served
	objects []*unstructured.Unstructured
	// own says that the module's namespace isn't there yet, or is the module's.
	own bool
	// next is what would be applied first, with what the cluster has now; gone what would be deleted at the commit.
	next, gone []apply.PlannedChange
	// live are the definitions of kinds in the cluster, by name.
	live map[string]*apiextensionsv1.CustomResourceDefinition
	// called are all definitions of the cluster, without their versions.
	called []*apiextensionsv1.CustomResourceDefinition
	// theirs are objects in the cluster that belong to somebody else.
	theirs map[kube.Ref]owner
	roles  permit.Live
	// told is how many fields are told of already.
	told int
	// kindless is why the cluster could not be asked about a kind.
	kindless error
	// others are the other modules, nil as long as nobody has asked.
	others []v1alpha1.Module
	// used are the kinds of the other modules' objects, each with who has some; nil as long as nobody has asked.
	used map[schema.GroupVersionKind][]string
	// neighbours are the others as those see each other, in the same order.
	neighbours []wanted.Module
}

// maxMessage is how long the message of a problem may be, in bytes (MaxLength of PlanProblem.Message).
const maxMessage = 4000

// problem notes what forbids to begin. Its message is a sentence that says what to do.
func (d *draft) problem(check, object, format string, args ...any) {
	message := kube.Cut(fmt.Sprintf(format, args...), maxMessage)
	d.plan.Problems = append(d.plan.Problems, v1alpha1.PlanProblem{Check: check, Object: object, Message: message})
}

// irreversible notes why an attempt can't be taken back.
func (d *draft) irreversible(format string, args ...any) {
	d.plan.Irreversible = append(d.plan.Irreversible, fmt.Sprintf(format, args...))
}

// lasting turns an error of a source into a problem, unless it may go away by itself.
func (d *draft) lasting(check string, err error) error {
	var unavailable *Unavailable
	if errors.As(err, &unavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	d.problem(check, "", "%s", err)
	return errEnough
}

// sorted puts problems in the order of the checks.
func sorted(problems []v1alpha1.PlanProblem) []v1alpha1.PlanProblem {
	order := []string{
		CheckResolve, CheckVerify, CheckRender, CheckDefinitions, CheckPermissions, CheckDryRun, CheckOwners, CheckImages, CheckDependants, CheckBaseline,
	}
	slices.SortStableFunc(problems, func(a, b v1alpha1.PlanProblem) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Check), slices.Index(order, b.Check)), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

// maxProblems is how many problems a plan tells. Who has more of them has one that explains the others.
const maxProblems = 200

func bounded(problems []v1alpha1.PlanProblem) []v1alpha1.PlanProblem {
	if len(problems) <= maxProblems {
		return problems
	}
	last := problems[maxProblems-1]
	last.Object, last.Message = "", fmt.Sprintf("and %d problems more, which are told when these are solved", len(problems)-maxProblems+1)
	return append(problems[:maxProblems-1:maxProblems-1], last)
}

// Owner is in whose name the objects of a module are applied.
func Owner(module string) apply.Owner {
	return apply.Owner{Group: v1alpha1.GroupVersion.Group, Name: module}
}

// Manager is the field manager that applies the objects of a module.
func Manager(module string) string { return "slipway/" + module }

// options are how objects would be applied.
func (d *draft) options() apply.Options {
	return apply.Options{Owner: Owner(d.module.Name), Manager: Manager(d.module.Name)}
}
