package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// lookEvery is the pause between two looks at the objects of a module that is being changed.
const lookEvery = time.Second

// followModule shows what becomes of a Module, a line for each change, until seen returns true or an error, or ctx ends. seen is called with
// each state. It is errGone when the Module is deleted.
func (a *App) followModule(ctx context.Context, c *cluster, m *v1alpha1.Module, seen func(*v1alpha1.Module) (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	states, ended := make(chan *v1alpha1.Module), make(chan error, 1)
	var watching sync.WaitGroup
	watching.Go(func() {
		ended <- c.watchOne(ctx, m.DeepCopy(), func() client.ObjectList { return &v1alpha1.ModuleList{} }, func(obj client.Object) (bool, error) {
			select {
			case states <- obj.(*v1alpha1.Module).DeepCopy():
			case <-ctx.Done():
			}
			return false, nil
		})
	})
	defer watching.Wait()
	defer cancel() // first
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	shown := &shownModule{app: a, cluster: c}
	var now *v1alpha1.Module
	for {
		select {
		case now = <-states:
			shown.state(now)
			done, err := seen(now)
			if done || err != nil {
				if inAttempt(now) || shown.objects != nil {
					shown.look(ctx, now)
				}
				return err
			}
		case <-look.C:
			if now != nil && inAttempt(now) {
				shown.look(ctx, now)
			}
		case err := <-ended:
			return err
		}
	}
}

// shownModule is what was shown of a Module, so that only what is new is shown.
type shownModule struct {
	app     *App
	cluster *cluster
	line    string
	objects map[string]string // by object
	failed  string
	reader  *moduleObjects
}

// state shows where the Module is.
func (s *shownModule) state(m *v1alpha1.Module) {
	if line := s.app.progressLine(m); line != s.line {
		s.line = line
		s.say("%s", line)
	}
}

// look shows the objects whose health is another one than before.
func (s *shownModule) look(ctx context.Context, m *v1alpha1.Module) {
	if s.reader == nil {
		s.reader = newModuleObjects(s.cluster)
	}
	objects, err := s.reader.of(ctx, m)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		if said := err.Error(); said != s.failed {
			s.failed = said
			s.app.warnf("the objects can't be shown: %v", err)
		}
		return
	}
	if s.objects == nil {
		s.objects = map[string]string{}
	}
	for _, o := range objects {
		if line := fmt.Sprintf("%s %s", o.Health, oneLine(o.Message)); s.objects[o.Object] != line {
			s.objects[o.Object] = line
			s.say("%-13s %s: %s %s", o.Step, o.Object, s.app.stateInColour(o.Health), gist(o.Message))
		}
	}
}

func (s *shownModule) say(format string, args ...any) {
	fmt.Fprintln(s.app.Out, s.app.out.dim(s.app.now().Format(time.TimeOnly))+"  "+fmt.Sprintf(format, args...))
}

// progressLine says where a Module is, and for what it waits.
func (a *App) progressLine(m *v1alpha1.Module) string {
	words := []string{a.phaseInColour(m)}
	if target := targetOf(m); target != "-" {
		words = append(words, fmt.Sprintf("(%s → %s)", versionOf(m.Status.Current), target))
	} else if m.Status.Current != nil {
		words = append(words, "("+m.Status.Current.Version+")")
	}
	if attempt := m.Status.Attempt; attempt != nil && inAttempt(m) {
		if attempt.Step != "" && m.Status.Phase != v1alpha1.PhaseSoaking {
			words = append(words, "step "+string(attempt.Step)+",")
		}
		if attempt.SoakBegan != nil && m.Status.Phase == v1alpha1.PhaseSoaking {
			words = append(words, "healthy since "+attempt.SoakBegan.Local().Format(time.TimeOnly)+",")
		}
		words = append(words, "until "+attempt.Deadline.Local().Format(time.TimeOnly)+" at most")
	}
	line := strings.Join(words, " ") + ": " + gist(readyWords(m))
	if plan := m.Status.Plan; plan != nil {
		for _, w := range plan.WaitsFor {
			line += "\n          waits for " + oneLine(w)
		}
		for _, p := range plan.Problems {
			if m.Status.Phase == v1alpha1.PhaseBlocked {
				line += "\n          " + problemLine(p)
			}
		}
	}
	return line
}

func problemLine(p v1alpha1.PlanProblem) string {
	if p.Object == "" {
		return p.Check + ": " + oneLine(p.Message)
	}
	return p.Check + ": " + p.Object + ": " + oneLine(p.Message)
}

// followUpgrade follows a Module that was changed until the agent has looked at it, and what followed from that is over.
func (a *App) followUpgrade(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	before := m.DeepCopy()
	err := a.followModule(ctx, c, m, func(now *v1alpha1.Module) (bool, error) {
		return ended(before, now)
	})
	return a.moduleEnd(ctx, m, err)
}

// ended says whether what was asked for is over, by a change after before: an error if it has failed.
func ended(before, now *v1alpha1.Module) (bool, error) {
	if now.Status.ObservedGeneration < before.Generation || sameState(before, now) {
		return false, nil // not looked at yet
	}
	return rests(now)
}

// rests says whether nothing is due for a Module: an error if that is no good end.
func rests(now *v1alpha1.Module) (bool, error) {
	switch phaseOf(now) {
	case v1alpha1.PhaseInstalled:
		return true, nil
	case v1alpha1.PhasePlanned:
		return true, nil // for what it waits was shown
	case v1alpha1.PhaseBlocked:
		return true, fmt.Errorf("the plan of module %s has problems; nothing was changed", now.Name)
	case v1alpha1.PhaseRolledBack:
		return true, fmt.Errorf("module %s was taken back: %s", now.Name, failureWords(now))
	case v1alpha1.PhaseFrozen:
		return true, fmt.Errorf("module %s is frozen: %s. 'slipway module show %s' says what to decide", now.Name, failureWords(now), now.Name)
	}
	return false, nil
}

// sameState says whether the agent has written nothing about the Module since.
func sameState(a, b *v1alpha1.Module) bool {
	return phaseOf(a) == phaseOf(b) && a.Status.PhaseSince.Equal(b.Status.PhaseSince) && a.Status.ObservedGeneration == b.Status.ObservedGeneration &&
		a.Status.LastHandledReconcileAt == b.Status.LastHandledReconcileAt && plannedAt(a).Equal(plannedAt(b)) && len(a.Status.Rejected) == len(b.Status.Rejected)
}

func plannedAt(m *v1alpha1.Module) time.Time {
	if m.Status.Plan == nil {
		return time.Time{}
	}
	return m.Status.Plan.At.Time
}

// failureWords says why an attempt failed.
func failureWords(m *v1alpha1.Module) string {
	if attempt := m.Status.Attempt; attempt != nil && attempt.Failure != nil {
		return oneLine(attempt.Failure.Message)
	}
	if len(m.Status.Rejected) > 0 {
		return oneLine(m.Status.Rejected[0].Message)
	}
	return oneLine(readyWords(m))
}

// moduleEnd says what it means that following a Module has ended.
func (a *App) moduleEnd(ctx context.Context, m *v1alpha1.Module, err error) error {
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the time is over; the agent goes on, if it runs. 'slipway module show %s --watch' follows it, 'slipway check' says whether the agent works", m.Name)
	case errors.Is(err, errGone):
		return fmt.Errorf("module %s was deleted meanwhile", m.Name)
	}
	return err
}
