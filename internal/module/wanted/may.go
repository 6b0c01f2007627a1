package wanted

import (
	"fmt"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// maxWaits is how many reasons to wait a status has room for.
const maxWaits = 16

// Start is what is about to begin, after a plan without problems.
type Start struct {
	// Module is its name, for what is said to people.
	Module string
	// Upgrade is spec.upgrade. Nil: all defaults.
	Upgrade *v1alpha1.Upgrade
	// Version and Digest are the target's. An approval names the digest.
	Version string
	Digest  v1alpha1.Digest
	// Published is when the package says that it was. Zero: it doesn't say.
	Published time.Time
	// Declared says that the package declares that upgrades to it can be taken back; Reversible, that the plan found so.
	Declared, Reversible bool
	// First says that nothing is installed.
	First bool
	// SamePackage says that the package is the installed one, byte by byte: what changes is settings, or what others made of the objects.
	SamePackage bool
	// Unsettled says that an earlier attempt is neither committed nor taken back, and this one leads forward out of it.
	Unsettled bool
	// Approved is the value of the annotation slipway.dev/approve.
	Approved string
	// Paused is spec.paused.
	Paused bool
	// Others is what other modules make it wait for: see [Waits].
	Others []string
	// Now is the time.
	Now time.Time
}

// Permit says whether something may begin.
type Permit struct {
	// MayStart: nothing stands in the way.
	MayStart bool
	// WaitsFor says for what it waits otherwise, each with what to do. At most 16.
	WaitsFor []string
	// Next is when it may begin if it waits for nothing but time. Nil: it may now, or something else has to change.
	Next *time.Time
}

// Policy is who starts an upgrade: what is said, else Automatic where the package declares that it can be taken back, else Manual.
func Policy(u *v1alpha1.Upgrade, declared bool) v1alpha1.UpgradePolicy {
	switch {
	case u != nil && u.Policy != "":
		return u.Policy
	case declared:
		return v1alpha1.UpgradeAutomatic
	}
	return v1alpha1.UpgradeManual
}

// May says whether something may begin now.
//
// Paused, other modules and an approval of what can't be taken back are asked for always. The policy, the windows and the age are about other
// versions: they hold up neither the first installation nor a change of settings nor what leads out of a frozen attempt. What names one
// digest counts for no other.
func May(s Start) Permit {
	w := &waiting{Start: s}
	if s.Paused {
		w.person("the end of the pause: set spec.paused to false, or say `slipway module resume %s`", s.Module)
	}
	for _, other := range s.Others {
		w.person("%s", other)
	}
	w.approval()
	if !s.First && !s.SamePackage && !s.Unsettled {
		w.time()
	}
	p := Permit{MayStart: len(w.reasons) == 0, WaitsFor: w.reasons, Next: w.next}
	if w.people {
		p.Next = nil
	}
	if more := len(p.WaitsFor) - maxWaits; more > 0 {
		p.WaitsFor = append(p.WaitsFor[:maxWaits-1:maxWaits-1], fmt.Sprintf("%d more", more+1))
	}
	return p
}

// waiting collects reasons.
type waiting struct {
	Start

	reasons []string
	people  bool // something else than time has to change
	next    *time.Time
}

// person is waited for, or another module.
func (w *waiting) person(format string, args ...any) {
	w.reasons, w.people = append(w.reasons, fmt.Sprintf(format, args...)), true
}

// approval looks whether a person has to agree, and has.
func (w *waiting) approval() {
	policy, approved := Policy(w.Upgrade, w.Declared), w.Digest != "" && w.Approved == string(w.Digest)
	another := !w.First && !w.SamePackage && !w.Unsettled
	var why string
	switch {
	case another && policy == v1alpha1.UpgradeNever:
		w.person("another policy: spec.upgrade.policy is Never")
		return
	case approved:
		return
	case !w.Reversible && !w.accepted() && (!w.First || policy == v1alpha1.UpgradeManual):
		why = "it can't be taken back"
	case another && policy == v1alpha1.UpgradeManual && (w.Upgrade == nil || w.Upgrade.Policy == ""):
		why = "the package doesn't declare that upgrades can be taken back, so the policy is Manual"
	case another && policy == v1alpha1.UpgradeManual:
		why = "spec.upgrade.policy is Manual"
	default:
		return
	}
	stale := ""
	if w.Approved != "" {
		stale = fmt.Sprintf(", and the approval that is there is for %s", shortened(w.Approved))
	}
	w.person("an approval of %s%s: %s. Look at the plan, then say `slipway module upgrade %s`, or set the annotation %s to that digest",
		w.Digest, stale, why, w.Module, v1alpha1.ApproveAnnotation)
}

// accepted says whether this very version may be installed although it can't be taken back.
func (w *waiting) accepted() bool {
	if w.Upgrade == nil || w.Upgrade.AcceptIrreversible == "" {
		return false
	}
	want, err := parse(w.Upgrade.AcceptIrreversible)
	if err != nil {
		return false
	}
	this, err := parse(w.Version)
	return err == nil && this.Equal(want)
}

// time looks whether the version is old enough, and a window is open; next is the first moment at which both are so.
func (w *waiting) time() {
	from := w.Now
	if minAge := minAgeOf(w.Upgrade); minAge > 0 {
		switch old := w.Published.Add(minAge); {
		case w.Published.IsZero():
			w.person("a time of publication, which the package doesn't say: without it %s is never %s old. Add it to the package, or remove spec.upgrade.minAge", w.Version, Duration(minAge))
		case old.After(w.Now):
			from = old
			w.reasons = append(w.reasons, fmt.Sprintf("the age of %s: it will have been published for %s on %s", w.Version, Duration(minAge), moment(old, time.UTC)))
		}
	}
	windows, problems := scheduleOf(w.Upgrade)
	for _, problem := range problems {
		w.person("a window that opens: %s", problem)
	}
	if len(problems) > 0 && len(windows) == 0 {
		return // none of them ever opens
	}
	opens, zone := windows.next(from)
	switch {
	case opens.After(from) && from.After(w.Now):
		w.reasons = append(w.reasons, "a window: the next one after that opens on "+moment(opens, zone))
	case opens.After(from):
		w.reasons = append(w.reasons, "a window: the next one opens on "+moment(opens, zone))
	}
	if opens.After(w.Now) {
		w.next = &opens
	}
}
