package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health"
)

// modulePrinter tells people of a module.
type modulePrinter struct {
	*App
	*moduleReport

	wide bool
}

func (a *App) printModule(r *moduleReport, wide bool) error {
	p := &modulePrinter{a, r, wide}
	p.printHead()
	p.printPlan()
	p.printAttempt()
	p.printRejected()
	if err := p.printRevisions(); err != nil {
		return err
	}
	return p.printObjects()
}

func (p *modulePrinter) line(name, format string, args ...any) {
	if name != "" {
		name += ":"
	}
	fmt.Fprintln(p.Out, strings.TrimRight(fmt.Sprintf("%-13s %s", name, fmt.Sprintf(format, args...)), " "))
}

func (p *modulePrinter) printHead() {
	p.line("Module", "%s", p.out.bold(p.Name))
	phase := p.phaseInColour(&v1alpha1.Module{Status: v1alpha1.ModuleStatus{Phase: p.Phase}})
	if p.Since != nil {
		phase += ", for " + p.age(p.Since.Time)
	}
	if p.Deleting {
		phase += ", the Module was deleted"
	}
	p.line("Phase", "%s", phase)
	if p.Ready != nil {
		status := p.out.bad(string(p.Ready.Status))
		if p.Ready.Status == metav1.ConditionTrue {
			status = p.out.good(string(p.Ready.Status))
		}
		p.line("Ready", "%s (%s): %s", status, p.Ready.Reason, oneLine(p.Ready.Message))
	}
	p.line("Installed", "%s", p.reference(p.Current, "nothing"))
	if p.Target != nil && (p.Current == nil || p.Target.Digest != p.Current.Digest) {
		p.line("Target", "%s", p.reference(p.Target, ""))
	}
	p.line("Source", "%s", p.Source)
	p.line("Wanted", "%s", p.Wanted)
	p.line("Upgrades", "%s", p.Upgrades)
	for i, d := range p.Depends {
		p.line(only(i == 0, "Requires"), "%s", strings.TrimSpace(d.Module+" "+d.Version))
	}
}

func only(first bool, name string) string {
	if first {
		return name
	}
	return ""
}

// reference names a revision.
func (p *modulePrinter) reference(r *v1alpha1.RevisionReference, none string) string {
	if r == nil {
		return none
	}
	text := fmt.Sprintf("%s (%s", r.Version, p.digest(r.Digest))
	if r.Revision != "" {
		text += ", revision " + r.Revision
	}
	return text + ")"
}

func (p *modulePrinter) digest(d v1alpha1.Digest) string {
	if p.wide {
		return string(d)
	}
	return shortDigest(d)
}

func (p *modulePrinter) printPlan() {
	plan := p.Plan
	if plan == nil {
		return
	}
	o := plan.Objects
	back := "it can be taken back until it is committed"
	if !plan.Reversible {
		back = p.out.bad("it can't be taken back")
	}
	fmt.Fprintln(p.Out)
	p.line("Plan", "%s ago: %d to create, %d to change, %d to delete, %d as they are; %s", p.age(plan.At.Time), o.Create, o.Update, o.Delete, o.Unchanged, back)
	for _, why := range plan.Irreversible {
		p.line("", "%s", oneLine(why))
	}
	for i, right := range plan.AddedPermissions {
		p.line(only(i == 0, "New rights"), "%s", right)
	}
	for i, problem := range plan.Problems {
		p.line(only(i == 0, "Problems"), "%s", problemLine(problem))
	}
	if more := int(plan.ProblemCount) - len(plan.Problems); more > 0 {
		p.line("", "and %d more: 'slipway module plan %s'", more, p.Name)
	}
	for i, w := range plan.WaitsFor {
		p.line(only(i == 0, "Waits for"), "%s", oneLine(w))
	}
	if plan.NextAttempt != nil {
		p.line("Looks again", "%s", plan.NextAttempt.Local().Format(time.DateTime))
	}
}

func (p *modulePrinter) printAttempt() {
	attempt := p.Attempt
	if attempt == nil {
		return
	}
	fmt.Fprintln(p.Out)
	p.line("Attempt", "%s, began %s ago, until %s at most", attempt.Target.Version, p.age(attempt.Began.Time), attempt.Deadline.Local().Format(time.TimeOnly))
	if attempt.Step != "" {
		p.line("Step", "%s", attempt.Step)
	}
	if attempt.SoakBegan != nil {
		p.line("Healthy", "for %s", p.age(attempt.SoakBegan.Time))
	}
	if attempt.CommitBegan != nil {
		p.line("Commit", "began %s ago: there is no way back", p.age(attempt.CommitBegan.Time))
	}
	if attempt.Failure != nil {
		p.line("Failed", "%s: %s", attempt.Failure.Reason, oneLine(attempt.Failure.Message))
	}
}

func (p *modulePrinter) printRejected() {
	for i, r := range p.Rejected {
		if i == 0 {
			fmt.Fprintln(p.Out)
		}
		p.line(only(i == 0, "Rejected"), "%s (%s) %s ago: %s: %s", r.Version, p.digest(r.Digest), p.age(r.At.Time), r.Reason, oneLine(r.Message))
	}
}

func (p *modulePrinter) printRevisions() error {
	if len(p.Revisions) == 0 {
		return nil
	}
	fmt.Fprintln(p.Out)
	t := table{header: []string{"REVISION", "VERSION", "STATE", "AGE", "DIGEST", "FAILURE"}}
	for _, r := range p.Revisions {
		failure := "-"
		if r.Failure != nil {
			failure = r.Failure.Reason
		}
		t.add(strconv.FormatInt(r.Number, 10), r.Version, orDash(string(r.State)), p.age(r.Created.Time), p.digest(r.Digest), failure)
	}
	return p.printTable(t)
}

func (p *modulePrinter) printObjects() error {
	if p.ObjectsUnknown != "" {
		p.warnf("the objects of %s can't be shown: %s", p.Shown, p.ObjectsUnknown)
	}
	if len(p.Objects) == 0 {
		return nil
	}
	fmt.Fprintln(p.Out)
	t := table{header: []string{"STEP", "OBJECT", "HEALTH", "MESSAGE"}}
	for _, o := range p.Objects {
		message := o.Message
		if !p.wide {
			message = gist(message)
		}
		if o.Health == health.Healthy && !p.wide {
			message = ""
		}
		t.add(string(o.Step), o.Object, p.stateInColour(o.Health), message)
	}
	return p.printTable(t)
}
