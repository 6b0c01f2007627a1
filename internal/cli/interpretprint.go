package cli

import (
	"fmt"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/interpret"
)

// printInterpreted tells people what is known.
func (a *App) printInterpreted(report *interpretReport) {
	for n, o := range report.Objects {
		if n > 0 {
			fmt.Fprintln(a.Out)
		}
		a.printInterpretedObject(o)
	}
	for _, d := range report.Interpreters {
		if len(d.Wrong) == 0 {
			a.donef("interpreter %s for %s is valid; its %d tests hold", d.Name, d.Target, d.Tests)
			if d.Tests == 0 {
				a.warnf("interpreter %s has no tests: spec.tests shows others, and the next version, what it is to say", d.Name)
			}
			continue
		}
		fmt.Fprintf(a.Out, "interpreter %s is not valid:\n", d.Name)
		for _, w := range d.Wrong {
			fmt.Fprintln(a.Out, "  "+w)
		}
	}
}

func (a *App) printInterpretedObject(o interpreted) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.Out, "%-13s %s\n", name+":", value)
		}
	}
	line("Object", a.out.bold(o.Object))
	line("Health", fmt.Sprintf("%s (%s): %s", a.stateInColour(o.Health), o.Reason, o.Message))
	if o.Replicas != nil {
		line("Replicas", replicasInWords(*o.Replicas))
	}
	if o.Drained != nil {
		line("Drained", map[bool]string{true: "yes: nothing is lost if it stops now", false: "no: it is at work"}[*o.Drained])
	}
	line("Version", o.Version)
	for n, d := range o.Dependencies {
		name := ""
		if n == 0 {
			name = "Depends on:"
		}
		where := ""
		if d.Namespace != "" {
			where = " in " + d.Namespace
		}
		fmt.Fprintf(a.Out, "%-13s %s %s%s (%s)\n", name, d.Kind, d.Name, where, d.APIVersion)
	}
	line("Said by", o.Interpreter)
	line("Rule", o.Rule)
	for _, p := range o.Problems {
		a.warnf("%s", p)
	}
}

func replicasInWords(r interpret.Replicas) string {
	if r.Ready == nil {
		return fmt.Sprintf("%d wanted", r.Desired)
	}
	return fmt.Sprintf("%d of %d ready", *r.Ready, r.Desired)
}

// stateInColour is a verdict as people at a terminal see it.
func (a *App) stateInColour(s health.State) string {
	switch s {
	case health.Healthy:
		return a.out.good(string(s))
	case health.Degraded:
		return a.out.bad(string(s))
	default:
		return a.out.warn(string(s))
	}
}
