package wanted_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

func windows(start string, length time.Duration, zone string, days ...v1alpha1.Weekday) *v1alpha1.Upgrade {
	return &v1alpha1.Upgrade{Windows: []v1alpha1.Window{{Days: days, Start: start, Duration: metav1.Duration{Duration: length}, TimeZone: zone}}}
}

// asks whether an upgrade may begin at a time, as far as windows are concerned.
func asks(u *v1alpha1.Upgrade, at time.Time) wanted.Permit {
	return wanted.May(wanted.Start{Module: "runner", Upgrade: u, Version: "1.5.0", Digest: "sha256:1", Declared: true, Reversible: true, Now: at})
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// In 2026 clocks in Madrid are put forward on March 29 at 02:00 (to 03:00), and back on October 25 at 03:00 (to 02:00).
func TestWindows(t *testing.T) {
	cases := map[string]struct {
		reason  string
		upgrade *v1alpha1.Upgrade
		now     string
		open    bool
		next    string
	}{
		"None":             {reason: "without windows, always", upgrade: &v1alpha1.Upgrade{}, now: "2026-11-21T12:00:00Z", open: true},
		"Nil":              {reason: "without anything, always", now: "2026-11-21T12:00:00Z", open: true},
		"In":               {reason: "within", upgrade: windows("02:00", 4*time.Hour, "UTC"), now: "2026-11-21T03:00:00Z", open: true},
		"First":            {reason: "the beginning is within", upgrade: windows("02:00", 4*time.Hour, "UTC"), now: "2026-11-21T02:00:00Z", open: true},
		"Last":             {reason: "the end isn't", upgrade: windows("02:00", 4*time.Hour, "UTC"), now: "2026-11-21T06:00:00Z", next: "2026-11-22T02:00:00Z"},
		"Before":           {reason: "a second too early", upgrade: windows("02:00", 4*time.Hour, "UTC"), now: "2026-11-21T01:59:59Z", next: "2026-11-21T02:00:00Z"},
		"NoZone":           {reason: "without a zone it is UTC", upgrade: windows("02:00", time.Hour, ""), now: "2026-11-21T00:00:00Z", next: "2026-11-21T02:00:00Z"},
		"Zone":             {reason: "in the zone of the window", upgrade: windows("02:00", time.Hour, "Europe/Madrid"), now: "2026-11-21T00:30:00Z", next: "2026-11-21T01:00:00Z"},
		"ZoneFarEast":      {reason: "where it is tomorrow already", upgrade: windows("02:00", time.Hour, "Pacific/Kiritimati", "Sun"), now: "2026-11-21T11:00:00Z", next: "2026-11-21T12:00:00Z"},
		"ZoneFarWest":      {reason: "where it is still yesterday", upgrade: windows("23:00", time.Hour, "Pacific/Pago_Pago", "Fri"), now: "2026-11-21T09:00:00Z", next: "2026-11-21T10:00:00Z"},
		"ZoneHalf":         {reason: "not all zones are whole hours away", upgrade: windows("02:00", time.Hour, "Asia/Kathmandu"), now: "2026-11-21T20:00:00Z", next: "2026-11-21T20:15:00Z"},
		"Midnight":         {reason: "it goes on into the next day", upgrade: windows("22:00", 8*time.Hour, "UTC", "Fri"), now: "2026-11-21T05:59:00Z", open: true},
		"MidnightEnd":      {reason: "but no longer than it lasts", upgrade: windows("22:00", 8*time.Hour, "UTC", "Fri"), now: "2026-11-21T06:00:00Z", next: "2026-11-27T22:00:00Z"},
		"MidnightDay":      {reason: "the day is that on which it begins", upgrade: windows("22:00", 8*time.Hour, "UTC", "Sat"), now: "2026-11-21T05:00:00Z", next: "2026-11-21T22:00:00Z"},
		"Days":             {reason: "it is Saturday: wait for Monday", upgrade: windows("02:00", 4*time.Hour, "UTC", "Mon", "Tue"), now: "2026-11-21T03:00:00Z", next: "2026-11-23T02:00:00Z"},
		"SameDayNextWeek":  {reason: "the only day of the week has just passed", upgrade: windows("02:00", time.Hour, "UTC", "Sat"), now: "2026-11-21T03:00:00Z", next: "2026-11-28T02:00:00Z"},
		"WholeWeek":        {reason: "168 hours from each Monday: always", upgrade: windows("00:00", 168*time.Hour, "UTC", "Mon"), now: "2026-11-22T23:59:59Z", open: true},
		"LongFromFriday":   {reason: "a weekend", upgrade: windows("18:00", 60*time.Hour, "UTC", "Fri"), now: "2026-11-23T05:59:00Z", open: true},
		"SpringSkipped":    {reason: "02:30 is skipped: it opens when the clocks jump", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-03-29T00:30:00Z", next: "2026-03-29T01:00:00Z"},
		"SpringIn":         {reason: "and lasts an hour from there", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-03-29T01:59:00Z", open: true},
		"SpringOut":        {reason: "not longer", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-03-29T02:00:00Z", next: "2026-03-30T00:30:00Z"},
		"SpringOver":       {reason: "four hours are four hours: from 00:00 to 05:00 by the clocks", upgrade: windows("00:00", 4*time.Hour, "Europe/Madrid"), now: "2026-03-29T02:59:00Z", open: true},
		"AutumnFirst":      {reason: "02:30 comes twice: it opens the first time", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-10-25T00:00:00Z", next: "2026-10-25T00:30:00Z"},
		"AutumnOnce":       {reason: "and not the second time", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-10-25T01:30:00Z", next: "2026-10-26T01:30:00Z"},
		"AutumnAfter":      {reason: "the day after it is as always", upgrade: windows("02:30", time.Hour, "Europe/Madrid"), now: "2026-10-26T01:00:00Z", next: "2026-10-26T01:30:00Z"},
		"AutumnExact":      {reason: "the second 02:00 is the moment of the change itself: the first counts", upgrade: windows("02:00", time.Hour, "Europe/Madrid"), now: "2026-10-24T23:00:00Z", next: "2026-10-25T00:00:00Z"},
		"SpringMidnight":   {reason: "in Beirut the skipped hour is that after midnight", upgrade: windows("00:00", time.Hour, "Asia/Beirut", "Sun"), now: "2026-03-28T21:00:00Z", next: "2026-03-28T22:00:00Z"},
		"SkippedDay":       {reason: "Samoa had no 2011-12-30, a Friday: it opens when the day would have begun", upgrade: windows("02:00", time.Hour, "Pacific/Apia", "Fri"), now: "2011-12-29T20:00:00Z", next: "2011-12-30T10:00:00Z"},
		"TwoHoursOfSummer": {reason: "Troll has a jump of two hours", upgrade: windows("02:30", time.Hour, "Antarctica/Troll"), now: "2026-03-29T00:00:00Z", next: "2026-03-29T01:00:00Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := asks(tc.upgrade, at(t, tc.now))
			if got.MayStart != tc.open {
				t.Errorf("%s: got %+v", tc.reason, got)
			}
			if tc.next == "" {
				if got.Next != nil {
					t.Errorf("%s: it is open, and yet there is a next time: %s", tc.reason, got.Next)
				}
				return
			}
			if got.Next == nil || !got.Next.Equal(at(t, tc.next)) {
				t.Errorf("%s: got %v, want %s", tc.reason, got.Next, tc.next)
			}
			if len(got.WaitsFor) != 1 || !strings.HasPrefix(got.WaitsFor[0], "a window: the next one opens on ") {
				t.Errorf("%s: got %q", tc.reason, got.WaitsFor)
			}
		})
	}
}

func TestOneOfSeveralWindows(t *testing.T) {
	u := &v1alpha1.Upgrade{Windows: append(windows("02:00", time.Hour, "UTC", "Mon").Windows, windows("20:00", time.Hour, "Europe/Madrid", "Sat").Windows...)}
	got := asks(u, at(t, "2026-11-21T12:00:00Z"))
	if got.Next == nil || !got.Next.Equal(at(t, "2026-11-21T19:00:00Z")) {
		t.Errorf("the first to open counts: %v", got.Next)
	}
	if want := "a window: the next one opens on Sat 2026-11-21 20:00 +01:00 (Europe/Madrid)"; len(got.WaitsFor) != 1 || got.WaitsFor[0] != want {
		t.Errorf("got %q, want %q", got.WaitsFor, want)
	}
	if !asks(u, at(t, "2026-11-23T02:30:00Z")).MayStart {
		t.Error("one open window is enough")
	}
}

func TestWindowsThatNeverOpen(t *testing.T) {
	cases := map[string]struct {
		upgrade *v1alpha1.Upgrade
		part    string
	}{
		"Zone":     {windows("02:00", time.Hour, "Europe/Madird"), `timeZone "Europe/Madird" isn't in the IANA database`},
		"Local":    {windows("02:00", time.Hour, "Local"), "IANA"},
		"Path":     {windows("02:00", time.Hour, "../../etc/passwd"), "IANA"},
		"Start":    {windows("25:00", time.Hour, ""), "no time"},
		"Duration": {windows("02:00", 0, ""), "no time"},
		"Day":      {windows("02:00", time.Hour, "", "Moonday"), "no day"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := asks(tc.upgrade, now)
			if got.MayStart || got.Next != nil || len(got.WaitsFor) != 1 || !strings.Contains(got.WaitsFor[0], tc.part) {
				t.Errorf("got %+v", got)
			}
			if problems := wanted.CheckWindows(tc.upgrade); len(problems) != 1 || !strings.Contains(problems[0], tc.part) {
				t.Errorf("got %q", problems)
			}
			both := &v1alpha1.Upgrade{Windows: append(windows("12:00", time.Hour, "UTC").Windows, tc.upgrade.Windows...)}
			if got := asks(both, now); got.MayStart || len(got.WaitsFor) != 1 {
				t.Errorf("what isn't understood isn't passed over, though another window is open: %+v", got)
			}
		})
	}
}
