package attempt

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// news is something to tell of a module at rest.
type news struct {
	reason, message string
	// ready: it is what it should be all the same. reconciling: it may get better by itself.
	ready, reconciling bool
}

// words are what conditions and events say of a module.
type words struct {
	reason, message             string
	ready, reconciling, stalled bool
}

// describe sets the conditions to what the status, and what is known beside it, say.
func (t *task) describe() {
	w := t.words()
	if w.message == "" { // known only to who wrote it before a restart
		if was := apimeta.FindStatusCondition(t.m.Status.Conditions, v1alpha1.ReadyCondition); was != nil && was.Reason == w.reason {
			w.message = was.Message
		}
		w.message = cmp.Or(w.message, string(t.phase()))
	}
	t.condition(v1alpha1.ReadyCondition, w.ready, w)
	for kind, is := range map[string]bool{v1alpha1.ReconcilingCondition: w.reconciling, v1alpha1.StalledCondition: w.stalled} {
		if is {
			t.condition(kind, true, w)
		} else {
			apimeta.RemoveStatusCondition(&t.m.Status.Conditions, kind)
		}
	}
}

func (t *task) condition(kind string, is bool, w words) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	kube.SetCondition(&t.m.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: w.reason, Message: w.message, ObservedGeneration: t.m.Status.ObservedGeneration,
		LastTransitionTime: *t.stamp(),
	})
}

// words says how a module is doing.
func (t *task) words() words {
	w := words{reason: string(t.phase())}
	switch t.phase() {
	case lifecycle.Pending:
		w.reason, w.reconciling = reasonSource, true
		w.message = withProblem("nothing is installed: can't plan", t.entry.look.problem)
	case lifecycle.Planning:
		w.reconciling, w.message = true, "finding out what an attempt would do"
	case lifecycle.Blocked:
		w.stalled, w.message = true, t.blockedWords()
	case lifecycle.Planned:
		w = t.plannedWords()
	case lifecycle.Installed:
		w = t.installedWords()
	case lifecycle.RolledBack:
		w.stalled, w.message = true, t.rolledBackWords()
	case lifecycle.Frozen:
		w.stalled, w.message = true, t.frozenWords()
	case lifecycle.Uninstalling:
		w = t.uninstallingWords()
	default:
		w.reconciling, w.message = true, t.underWayWords()
	}
	if t.news != nil && t.phase() != lifecycle.Installed {
		w.message += "; " + t.news.message
	}
	return w
}

func (t *task) running() string {
	if c := t.m.Status.Current; c != nil {
		return c.Version + " is installed; "
	}
	return "nothing is installed; "
}

func withProblem(text, problem string) string {
	if problem == "" {
		return text
	}
	return text + ": " + problem
}

// blockedWords say which problems there are; or, of a plan without any, why it wasn't begun all the same.
func (t *task) blockedWords() string {
	p := t.m.Status.Plan
	switch {
	case p != nil && len(p.Problems) > 0:
		return t.running() + problems(p)
	case t.failure != nil:
		return t.running() + t.failure.Message
	case p != nil && p.Digest != "" && t.m.Status.Target != nil:
		return "" // it was said when it happened
	}
	return t.running() + "the package has no objects"
}

func problems(p *v1alpha1.PlanSummary) string {
	var lines []string
	for _, one := range p.Problems {
		lines = append(lines, strings.TrimSpace(one.Check+": "+strings.TrimPrefix(one.Object+" ", " ")+one.Message))
	}
	if more := int(p.ProblemCount) - len(p.Problems); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: `slipway module plan` has them all", more))
	}
	return strings.Join(lines, "; ")
}

func (t *task) plannedWords() words {
	s := &t.m.Status
	w := words{reason: string(lifecycle.Planned), reconciling: !t.permit.Person, stalled: t.permit.Person}
	if t.permit.Person {
		w.reason = reasonApproval
	}
	if s.Target == nil || s.Plan == nil {
		return w
	}
	w.message = fmt.Sprintf("%s%s is planned, and waits for %s", t.running(), s.Target.Version, cmp.Or(strings.Join(s.Plan.WaitsFor, ", "), "its time"))
	if t.m.Spec.Paused {
		w.message = fmt.Sprintf("%s%s is planned; the module is paused", t.running(), s.Target.Version)
	}
	if t.permit.Person {
		w.message += fmt.Sprintf(": kubectl annotate module %s %s=%s --overwrite", t.m.Name, v1alpha1.ApproveAnnotation, s.Target.Digest)
	}
	return w
}

func (t *task) installedWords() words {
	w := words{reason: string(lifecycle.Installed), ready: true}
	if c := t.m.Status.Current; c != nil {
		w.message = c.Version + " is installed"
	}
	if t.entry.look.problem != "" {
		w.message += "; can't look for other versions: " + t.entry.look.problem
	}
	if t.news != nil {
		w.reason, w.ready, w.reconciling = t.news.reason, t.news.ready, t.news.reconciling
		w.message += "; " + t.news.message
	}
	return w
}

func (t *task) rolledBackWords() string {
	s := &t.m.Status
	if s.Target == nil {
		return ""
	}
	text := s.Target.Version + " failed"
	if r := rejection(t.m, s.Target.Digest); r != nil {
		text += " (" + r.Reason + ": " + r.Message + ")"
	}
	if s.Current != nil {
		text += fmt.Sprintf(", and %s is installed again", s.Current.Version)
	} else {
		text += ", and was removed"
	}
	return text + fmt.Sprintf(". It isn't tried again by itself: change the spec, or kubectl annotate module %s %s=%s --overwrite", t.m.Name, v1alpha1.RetryAnnotation, s.Target.Digest)
}

func (t *task) frozenWords() string {
	a := t.m.Status.Attempt
	if a == nil {
		return ""
	}
	text := a.Target.Version + " failed"
	if a.Failure != nil {
		text += " (" + a.Failure.Reason + ": " + a.Failure.Message + ")"
	}
	annotate := "kubectl annotate module " + t.m.Name + " "
	if a.CommitBegan != nil || a.OverCommitted {
		return text + " after its commit had begun, so there is only forward. Once what failed is mended: " + annotate +
			v1alpha1.RetryAnnotation + "=" + string(a.Target.Digest) + " --overwrite; or change the spec to a version that goes over it"
	}
	return text + ", and nothing is done by itself. To take it back: " + annotate + v1alpha1.RollbackAnnotation + "=" + string(a.Target.Digest) +
		" --overwrite (with " + v1alpha1.ForceAnnotation + "=" + string(a.Target.Digest) + " if the plan says that it can't be taken back); to try again: " +
		annotate + v1alpha1.RetryAnnotation + "=" + string(a.Target.Digest) + " --overwrite; or change the spec to a version that goes over it"
}

func (t *task) uninstallingWords() words {
	w := words{reason: string(lifecycle.Uninstalling), reconciling: true, message: "removing what was installed"}
	if t.waits != "" {
		w.message += ": " + t.waits
	}
	if t.failure != nil {
		w.reason, w.message, w.stalled = t.failure.Reason, t.failure.Message, true
	}
	return w
}

func (t *task) underWayWords() string {
	s := &t.m.Status
	target := s.Target
	if s.Attempt != nil && t.phase() != lifecycle.Preparing {
		target = &s.Attempt.Target
	}
	if target == nil {
		return ""
	}
	text := target.Version
	switch t.phase() {
	case lifecycle.Preparing:
		text = "storing the revision of " + text
	case lifecycle.Applying:
		text = "applying " + text
	case lifecycle.Soaking:
		text += " is applied and has to stay healthy"
	case lifecycle.Committing:
		text = "committing " + text + ": there is no way back from here"
	case lifecycle.RollingBack:
		text = "taking " + text + " back"
		if s.Attempt != nil && s.Attempt.Failure != nil {
			text += ", which failed (" + s.Attempt.Failure.Reason + ": " + s.Attempt.Failure.Message + ")"
		}
	}
	if s.Attempt != nil && s.Attempt.Step != "" {
		text += ", step " + string(s.Attempt.Step)
	}
	if t.waits != "" {
		text += "; waits for " + t.waits
	}
	return text
}

// record writes a transition, and tells of it. A plan that is about to be made isn't worth a write: it changes nothing.
func (t *task) record(ctx context.Context, event lifecycle.Event, from lifecycle.State, d lifecycle.Decision) error {
	if d.To == lifecycle.Planning && len(d.Actions) <= 1 {
		return nil
	}
	if d.To == from {
		t.reportOn(event)
		return nil
	}
	t.describe()
	if err := t.write(ctx); err != nil {
		return err
	}
	t.Metrics.moved(t.m.Name, d.To)
	t.Metrics.state(t.m, t.phase())
	w := t.words()
	warning := w.stalled || d.To == lifecycle.RollingBack
	asBefore := d.To == t.rested && from == lifecycle.Planning
	if !asBefore || w.stalled {
		t.tell(warning, w.reason, cmp.Or(w.message, d.Why))
	}
	if lifecycle.Resting(d.To) {
		t.tellOthers(t.m.Name)
		if !asBefore { // two that are in each other's way would have each other planned for ever
			t.unblock(ctx)
		}
	}
	return nil
}

// reportOn tells of an event that leads nowhere.
func (t *task) reportOn(event lifecycle.Event) {
	switch event {
	case lifecycle.RollbackAsked:
		why := "its plan says that it can't be taken back; with " + v1alpha1.ForceAnnotation + " it is tried all the same"
		if a := t.m.Status.Attempt; a != nil && (a.CommitBegan != nil || a.OverCommitted) {
			why = "its commit has begun, and there is only forward; want an older version in the spec, which is planned like any other"
		}
		t.tell(true, reasonNoRollback, "the rollback that was asked for isn't done: "+why)
	case lifecycle.Failed:
		if t.news != nil {
			t.tell(true, t.news.reason, t.news.message)
		}
		if t.failure != nil {
			t.tell(true, t.failure.Reason, t.failure.Message)
		}
	case lifecycle.Drifted:
		if t.m.Spec.Paused && t.news != nil {
			t.tell(true, t.news.reason, t.news.message)
		}
	}
}

// tell records an event, and logs it in the same words; the same thing twice in a row is told once.
func (t *task) tell(warning bool, reason, message string) {
	if t.entry.told == reason+message {
		return
	}
	t.entry.told = reason + message
	details := map[string]string{}
	if s := t.m.Status; s.Target != nil {
		details["digest"], details["version"] = string(s.Target.Digest), s.Target.Version
	}
	t.log.Info(message, "reason", reason, "version", details["version"], "digest", details["digest"])
	if t.Events != nil {
		t.Events.Event(t.m, details, warning, reason, message)
	}
}
