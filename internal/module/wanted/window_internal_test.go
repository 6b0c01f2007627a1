package wanted

import (
	"testing"
	"time"
)

// TestWindowsAgreeWithTheClocks goes minute by minute through the days around changes of the clocks, and holds every answer against what the
// clocks show: a window opens at the first minute at which they show its start, or have gone past it.
func TestWindowsAgreeWithTheClocks(t *testing.T) {
	changes := map[string][]string{ // a few days before each
		"Europe/Madrid":       {"2026-03-25T00:00:00Z", "2026-10-21T00:00:00Z"},
		"America/New_York":    {"2026-03-05T00:00:00Z", "2026-10-29T00:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-02T00:00:00Z", "2026-10-01T00:00:00Z"}, // half an hour
		"America/Santiago":    {"2026-04-02T00:00:00Z", "2026-09-03T00:00:00Z"}, // at midnight
		"Pacific/Apia":        {"2011-12-27T00:00:00Z"},                         // a day is skipped
		"Africa/Casablanca":   {"2026-02-13T00:00:00Z", "2026-03-20T00:00:00Z"}, // for Ramadan
		"Antarctica/Troll":    {"2026-03-25T00:00:00Z", "2026-10-21T00:00:00Z"}, // two hours
		"Asia/Kolkata":        {"2026-03-25T00:00:00Z"},                         // never
	}
	starts := [][2]int{{0, 0}, {1, 59}, {2, 0}, {2, 15}, {0, 30}, {2, 30}}
	every := [7]bool{true, true, true, true, true, true, true}
	sundays, weekends := [7]bool{time.Sunday: true}, [7]bool{time.Friday: true, time.Saturday: true}
	for zone, begins := range changes {
		t.Run(zone, func(t *testing.T) {
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			for _, begin := range begins {
				from, err := time.Parse(time.RFC3339, begin)
				if err != nil {
					t.Fatal(err)
				}
				if _, change := from.In(location).ZoneBounds(); !change.IsZero() && change.Before(from.AddDate(0, 0, 10)) {
					from = change.Add(-30 * time.Hour)
				}
				for n, start := range starts {
					w := window{hour: start[0], minute: start[1], zone: location}
					switch n % 3 { // each kind with two starts; every start on every day is more than a test should cost
					case 0:
						w.days, w.length = weekends, 25*time.Hour
					case 1:
						w.days, w.length = sundays, 90*time.Minute
					case 2:
						w.days, w.length = every, time.Minute
					}
					follow(t, w, from)
				}
			}
		})
	}
}

const minute = "2006-01-02 15:04"

// follow compares some days with an account of the openings that is kept without any arithmetic of zones: by looking at the clocks.
func follow(t *testing.T, w window, from time.Time) {
	t.Helper()
	var opened []time.Time
	shown := func(at time.Time) string { return at.In(w.zone).Format(minute) }
	latest := shown(from.AddDate(0, 0, -2))
	for at := from.AddDate(0, 0, -2); at.Before(from.Add(60 * time.Hour)); at = at.Add(time.Minute) {
		if reading := shown(at); reading > latest {
			if w.passed(t, latest, reading) {
				opened = append(opened, at)
			}
			latest = reading
		}
		if at.Before(from) {
			continue
		}
		open := false
		for _, o := range opened {
			open = open || o.Add(w.length).After(at)
		}
		if got := w.open(at); got != open {
			t.Fatalf("%+v at %s (%s there): open is %t", w, at.Format(time.RFC3339), shown(at), got)
		}
		if next := w.next(at); !open && (!next.After(at) || !w.open(next) || w.open(next.Add(-time.Second))) {
			t.Fatalf("%+v at %s: the next time is %s, which is no opening", w, at.Format(time.RFC3339), next)
		}
	}
}

// passed says whether the clocks went over the start of the window on one of its days, from one reading to another.
func (w window) passed(t *testing.T, from, to string) bool {
	t.Helper()
	date, err := time.Parse(minute, from)
	if err != nil {
		t.Fatal(err)
	}
	for ; date.Format(minute)[:10] <= to[:10]; date = date.AddDate(0, 0, 1) { // a calendar without zones has all days
		start := time.Date(date.Year(), date.Month(), date.Day(), w.hour, w.minute, 0, 0, time.UTC).Format(minute)
		if w.days[date.Weekday()] && start > from && start <= to {
			return true
		}
	}
	return false
}

// TestEveryOpeningIsFoundByBothQuestions: what opens next is open then, in a year of all zones that are there under a few names.
func TestEveryOpeningIsFoundByBothQuestions(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Madrid", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Chatham", "Asia/Gaza"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		w := window{days: [7]bool{time.Wednesday: true}, hour: 0, minute: 30, length: 2 * time.Hour, zone: location}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for n := range 52 {
			next := w.next(from)
			if !w.open(next) || !next.After(from) || next.Sub(from) > 8*24*time.Hour {
				t.Fatalf("%s: opening %d after %s is %s", zone, n, from, next)
			}
			if day := next.In(location).Weekday(); day != time.Wednesday {
				t.Fatalf("%s: it opens on a %s", zone, day)
			}
			from = next
		}
		if from.Year() != 2026 || from.Month() != time.December {
			t.Errorf("%s: 52 Wednesdays end on %s", zone, from)
		}
	}
}
