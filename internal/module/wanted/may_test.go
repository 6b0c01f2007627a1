package wanted_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

func TestMay(t *testing.T) {
	const digest, other = "sha256:aaaa", "sha256:bbbb"
	irreversible := func(version string) *v1alpha1.Upgrade {
		return &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeAutomatic, AcceptIrreversible: version}
	}
	both := windows("02:00", 4*time.Hour, "UTC", "Mon")
	both.MinAge = &metav1.Duration{Duration: 24 * time.Hour}
	cases := map[string]struct {
		reason string
		ask    wanted.Start
		waits  []string // a part of each
		next   string
	}{
		"Automatic":        {reason: "declared, reversible: the agent starts", ask: wanted.Start{Declared: true, Reversible: true}},
		"Undeclared":       {reason: "the package declares nothing: a person approves", ask: wanted.Start{Reversible: true}, waits: []string{"doesn't declare"}},
		"UndeclaredSaid":   {reason: "unless the policy is said", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeAutomatic), Reversible: true}},
		"Manual":           {reason: "policy Manual wants an approval", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeManual), Declared: true, Reversible: true}, waits: []string{"an approval of " + digest}},
		"Approved":         {reason: "and has it", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeManual), Reversible: true, Approved: digest}},
		"ApprovedOther":    {reason: "an approval counts for its digest and no other", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeManual), Reversible: true, Approved: other}, waits: []string{"the approval that is there is for " + other}},
		"Never":            {reason: "policy Never, whoever approves", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeNever), Declared: true, Reversible: true, Approved: digest}, waits: []string{"policy is Never"}},
		"Irreversible":     {reason: "what can't be taken back wants an approval, whatever the policy", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeAutomatic), Declared: true}, waits: []string{"can't be taken back"}},
		"IrreversibleOK":   {reason: "or is approved", ask: wanted.Start{Upgrade: policy(v1alpha1.UpgradeAutomatic), Declared: true, Approved: digest}},
		"Accepted":         {reason: "or is the version that was accepted", ask: wanted.Start{Upgrade: irreversible("1.5.0"), Declared: true}},
		"AcceptedV":        {reason: "with v or without", ask: wanted.Start{Upgrade: irreversible("v1.5.0"), Declared: true}},
		"AcceptedOther":    {reason: "not another one", ask: wanted.Start{Upgrade: irreversible("1.4.9"), Declared: true}, waits: []string{"can't be taken back"}},
		"AcceptedNone":     {reason: "not everything", ask: wanted.Start{Upgrade: irreversible("*"), Declared: true}, waits: []string{"can't be taken back"}},
		"AcceptedManual":   {reason: "Manual stays Manual", ask: wanted.Start{Upgrade: &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual, AcceptIrreversible: "1.5.0"}}, waits: []string{"policy is Manual"}},
		"First":            {reason: "the first installation waits for nothing", ask: wanted.Start{First: true, Upgrade: both, Declared: true}},
		"FirstNever":       {reason: "not even with policy Never", ask: wanted.Start{First: true, Upgrade: policy(v1alpha1.UpgradeNever)}},
		"FirstManual":      {reason: "Manual wants an approval for it if it can't be taken back", ask: wanted.Start{First: true, Upgrade: policy(v1alpha1.UpgradeManual)}, waits: []string{"can't be taken back"}},
		"FirstUndeclared":  {reason: "also where it is Manual as the package declares nothing", ask: wanted.Start{First: true}, waits: []string{"can't be taken back"}},
		"FirstReversible":  {reason: "and not if it can", ask: wanted.Start{First: true, Upgrade: policy(v1alpha1.UpgradeManual), Reversible: true}},
		"Settings":         {reason: "settings are no other version: neither policy nor window nor age hold them up", ask: wanted.Start{SamePackage: true, Upgrade: both, Reversible: true, Published: now}},
		"SettingsNever":    {reason: "not even with policy Never", ask: wanted.Start{SamePackage: true, Upgrade: policy(v1alpha1.UpgradeNever), Reversible: true}},
		"SettingsHard":     {reason: "but what can't be taken back wants an approval", ask: wanted.Start{SamePackage: true, Upgrade: policy(v1alpha1.UpgradeAutomatic)}, waits: []string{"can't be taken back"}},
		"OutOfFrozen":      {reason: "who leads out of Frozen doesn't wait for the night", ask: wanted.Start{Unsettled: true, Upgrade: both, Declared: true, Reversible: true, Published: now}},
		"OutOfFrozenNever": {reason: "nor for a policy", ask: wanted.Start{Unsettled: true, Upgrade: policy(v1alpha1.UpgradeNever), Reversible: true}},
		"OutOfFrozenHard":  {reason: "but for an approval of what can't be taken back", ask: wanted.Start{Unsettled: true, Declared: true}, waits: []string{"can't be taken back"}},
		"Paused":           {reason: "paused begins nothing, not even the first", ask: wanted.Start{First: true, Reversible: true, Paused: true}, waits: []string{"the end of the pause"}},
		"Others":           {reason: "other modules hold up everything", ask: wanted.Start{First: true, Reversible: true, Others: []string{"module cert-manager isn't installed yet"}}, waits: []string{"module cert-manager"}},
		"Age":              {reason: "too young", ask: wanted.Start{Upgrade: minAge(24 * time.Hour), Declared: true, Reversible: true, Published: now.Add(-time.Hour)}, waits: []string{"the age of 1.5.0"}, next: "2026-11-22T11:00:00Z"},
		"AgeReached":       {reason: "old enough to the second", ask: wanted.Start{Upgrade: minAge(24 * time.Hour), Declared: true, Reversible: true, Published: now.Add(-24 * time.Hour)}},
		"AgeUnknown":       {reason: "without a time of publication nobody knows", ask: wanted.Start{Upgrade: minAge(24 * time.Hour), Declared: true, Reversible: true}, waits: []string{"a time of publication"}},
		"AgeNotAsked":      {reason: "which doesn't matter if nobody asks", ask: wanted.Start{Declared: true, Reversible: true}},
		"Window":           {reason: "not now", ask: wanted.Start{Upgrade: windows("02:00", time.Hour, "UTC", "Mon"), Declared: true, Reversible: true}, waits: []string{"a window"}, next: "2026-11-23T02:00:00Z"},
		"AgeThenWindow":    {reason: "old enough on Sunday, a window on Monday", ask: wanted.Start{Upgrade: both, Declared: true, Reversible: true, Published: now.Add(-time.Hour)}, waits: []string{"the age", "a window: the next one after that"}, next: "2026-11-23T02:00:00Z"},
		"WindowTooEarly":   {reason: "a window is open now, but it isn't old enough before the one of next week", ask: wanted.Start{Upgrade: &v1alpha1.Upgrade{MinAge: both.MinAge, Windows: windows("11:00", 2*time.Hour, "UTC", "Sat").Windows}, Declared: true, Reversible: true, Published: now.Add(-time.Hour)}, waits: []string{"the age", "a window"}, next: "2026-11-28T11:00:00Z"},
		"AgeInWindow":      {reason: "old enough within a window: it begins at that moment", ask: wanted.Start{Upgrade: &v1alpha1.Upgrade{MinAge: both.MinAge, Windows: windows("10:00", 4*time.Hour, "UTC", "Sun").Windows}, Declared: true, Reversible: true, Published: now.Add(-time.Hour)}, waits: []string{"the age"}, next: "2026-11-22T11:00:00Z"},
		"Both":             {reason: "with a person to wait for there is no time to look again: the approval tells", ask: wanted.Start{Upgrade: &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual, Windows: both.Windows}, Reversible: true}, waits: []string{"an approval", "a window"}},
		"ApprovedWindow":   {reason: "an approval doesn't open a window", ask: wanted.Start{Upgrade: &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual, Windows: both.Windows}, Reversible: true, Approved: digest}, waits: []string{"a window"}, next: "2026-11-23T02:00:00Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.ask.Module, tc.ask.Version, tc.ask.Digest, tc.ask.Now = "runner", "1.5.0", digest, now
			got := wanted.May(tc.ask)
			if got.MayStart != (len(tc.waits) == 0) || len(got.WaitsFor) != len(tc.waits) {
				t.Fatalf("%s: got %+v, want it to wait for %q", tc.reason, got, tc.waits)
			}
			for i, part := range tc.waits {
				if !strings.Contains(got.WaitsFor[i], part) {
					t.Errorf("%s: got %q, want %q", tc.reason, got.WaitsFor[i], part)
				}
			}
			if next := got.Next; (next == nil) != (tc.next == "") || next != nil && !next.Equal(at(t, tc.next)) {
				t.Errorf("%s: next time %v, want %q", tc.reason, next, tc.next)
			}
		})
	}
}

// TestPermitHolds goes through all combinations: what may start waits for nothing, what has a next time may start then and not before, and
// what was approved never waits for more.
func TestPermitHolds(t *testing.T) {
	yes := []bool{false, true}
	ages := []time.Time{{}, now.Add(-100 * time.Hour), now.Add(-time.Hour)}
	var count int
	for _, p := range []v1alpha1.UpgradePolicy{"", v1alpha1.UpgradeAutomatic, v1alpha1.UpgradeManual, v1alpha1.UpgradeNever} {
		for _, w := range []*v1alpha1.Upgrade{{}, windows("02:00", time.Hour, "Europe/Madrid"), windows("11:00", 2*time.Hour, "UTC", "Sat"), windows("22:00", 30*time.Hour, "Asia/Tokyo", "Tue")} {
			for _, age := range []time.Duration{0, 24 * time.Hour} {
				for _, published := range ages {
					for _, bits := range everything(7) {
						u := &v1alpha1.Upgrade{Policy: p, Windows: w.Windows, MinAge: &metav1.Duration{Duration: age}}
						s := wanted.Start{
							Module: "runner", Upgrade: u, Version: "1.5.0", Digest: "sha256:1", Published: published, Now: now,
							Declared: bits[0], Reversible: bits[1], First: bits[2], SamePackage: bits[3], Unsettled: bits[4], Paused: bits[5],
						}
						if bits[6] {
							s.Others = []string{"module cert-manager isn't installed yet"}
						}
						got := wanted.May(s)
						check(t, s, got)
						for _, approved := range yes {
							if s.Approved = ""; approved {
								s.Approved = string(s.Digest)
							}
							if more := wanted.May(s); len(more.WaitsFor) > len(got.WaitsFor) {
								t.Fatalf("%+v: an approval makes it wait for more: %q, and before %q", s, more.WaitsFor, got.WaitsFor)
							}
						}
						count++
					}
				}
			}
		}
	}
	t.Logf("%d combinations", count)
}

func check(t *testing.T, s wanted.Start, got wanted.Permit) {
	t.Helper()
	if got.MayStart != (len(got.WaitsFor) == 0) || got.MayStart && got.Next != nil {
		t.Fatalf("%+v: %+v contradicts itself", s, got)
	}
	if got.MayStart && (s.Paused || len(s.Others) > 0 || !s.Reversible && !s.First) {
		t.Fatalf("%+v: nobody has allowed that", s)
	}
	if got.Next == nil {
		return
	}
	if s.Now = *got.Next; !wanted.May(s).MayStart {
		t.Fatalf("%+v: at the next time it may not start: %+v", s, wanted.May(s))
	}
	if s.Now = got.Next.Add(-time.Second); wanted.May(s).MayStart {
		t.Fatalf("%+v: it might have started earlier than at the next time", s)
	}
}

// everything lists all combinations of so many truth values.
func everything(n int) [][]bool {
	all := [][]bool{nil}
	for range n {
		var next [][]bool
		for _, one := range all {
			next = append(next, append(append([]bool{}, one...), false), append(append([]bool{}, one...), true))
		}
		all = next
	}
	return all
}

func TestManyReasonsFitIntoTheStatus(t *testing.T) {
	s := wanted.Start{First: true, Reversible: true}
	for n := range 40 {
		s.Others = append(s.Others, fmt.Sprintf("module m%d isn't there", n))
	}
	got := wanted.May(s)
	if len(got.WaitsFor) != 16 || got.WaitsFor[15] != "25 more" {
		t.Errorf("got %d reasons, the last is %q", len(got.WaitsFor), got.WaitsFor[len(got.WaitsFor)-1])
	}
}

func TestPolicy(t *testing.T) {
	cases := map[string]struct {
		upgrade  *v1alpha1.Upgrade
		declared bool
		want     v1alpha1.UpgradePolicy
	}{
		"Declared":   {nil, true, v1alpha1.UpgradeAutomatic},
		"Undeclared": {nil, false, v1alpha1.UpgradeManual},
		"Empty":      {&v1alpha1.Upgrade{}, true, v1alpha1.UpgradeAutomatic},
		"Said":       {policy(v1alpha1.UpgradeNever), true, v1alpha1.UpgradeNever},
	}
	for name, tc := range cases {
		if got := wanted.Policy(tc.upgrade, tc.declared); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}
