package wanted

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // windows have time zones, and images such as ours have no database of them

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// window is a time of the week that comes back, ready for use.
type window struct {
	days         [7]bool // by time.Weekday
	hour, minute int
	length       time.Duration
	zone         *time.Location
}

// schedule is when something may begin. The empty one is always.
type schedule []window

// CheckWindows says what is wrong with the windows of an upgrade that the API server can't see: time zones that don't exist. Each with what
// to do.
func CheckWindows(u *v1alpha1.Upgrade) []string {
	_, problems := scheduleOf(u)
	return problems
}

// scheduleOf reads the windows; what can't be read never opens, and is a problem.
func scheduleOf(u *v1alpha1.Upgrade) (s schedule, problems []string) {
	if u == nil {
		return nil, nil
	}
	for n, w := range u.Windows {
		one, err := windowOf(w)
		if err != nil {
			problems = append(problems, fmt.Sprintf("spec.upgrade.windows[%d]%s", n, err))
			continue
		}
		s = append(s, one)
	}
	return s, problems
}

func windowOf(w v1alpha1.Window) (window, error) {
	zone, err := zoneOf(w.TimeZone)
	if err != nil {
		return window{}, err
	}
	start, err := time.Parse("15:04", w.Start)
	if err != nil {
		return window{}, fmt.Errorf(".start %q is no time: write one such as 02:00", shortened(w.Start))
	}
	out := window{hour: start.Hour(), minute: start.Minute(), length: w.Duration.Duration, zone: zone}
	if out.length <= 0 {
		return window{}, fmt.Errorf(".duration %s leaves no time: write one such as 4h", w.Duration.Duration)
	}
	names := map[v1alpha1.Weekday]time.Weekday{"Mon": time.Monday, "Tue": time.Tuesday, "Wed": time.Wednesday, "Thu": time.Thursday, "Fri": time.Friday, "Sat": time.Saturday, "Sun": time.Sunday}
	for _, d := range w.Days {
		day, ok := names[d]
		if !ok {
			return window{}, fmt.Errorf(".days has %q, which is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun", shortened(string(d)))
		}
		out.days[day] = true
	}
	if len(w.Days) == 0 {
		out.days = [7]bool{true, true, true, true, true, true, true}
	}
	return out, nil
}

func zoneOf(name string) (*time.Location, error) {
	switch name {
	case "", "UTC":
		return time.UTC, nil
	case "Local": // wherever the agent happens to run
		name = ""
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return nil, fmt.Errorf(".timeZone %q isn't in the IANA database: write one such as Europe/Madrid", shortened(name))
	}
	return zone, nil
}

// open says whether one of the windows is open at that time. The end is no part of a window.
func (s schedule) open(at time.Time) bool {
	for _, w := range s {
		if w.open(at) {
			return true
		}
	}
	return len(s) == 0
}

// next is when a window is open first, from that time on: the time itself if one is open then.
func (s schedule) next(at time.Time) (when time.Time, zone *time.Location) {
	if s.open(at) {
		return at, time.UTC
	}
	for _, w := range s {
		if opens := w.next(at); when.IsZero() || opens.Before(when) {
			when, zone = opens, w.zone
		}
	}
	return when, zone
}

// week is the longest pause between two openings, in days.
const week = 7

func (w window) open(at time.Time) bool {
	back := int(w.length/(24*time.Hour)) + 2 // days of 23 and of 25 hours
	for n := -back; n <= 1; n++ {
		opens, ok := w.opening(at, n)
		if ok && !opens.After(at) && opens.Add(w.length).After(at) {
			return true
		}
	}
	return false
}

// next is the first opening after a time.
func (w window) next(at time.Time) time.Time {
	var first time.Time
	for n := -1; n <= week+1; n++ {
		if opens, ok := w.opening(at, n); ok && opens.After(at) && (first.IsZero() || opens.Before(first)) {
			first = opens
		}
	}
	return first
}

// opening is when the window opens on the day that is n days from that of a time, as people there count days. False: it isn't one of its days.
func (w window) opening(at time.Time, n int) (time.Time, bool) {
	year, month, day := at.In(w.zone).Date()
	date := time.Date(year, month, day+n, w.hour, w.minute, 0, 0, time.UTC) // the reading of the clocks there, not the moment
	if !w.days[date.Weekday()] {
		return time.Time{}, false
	}
	return firstReading(date, w.zone), true
}

// firstReading is the first moment at which clocks in a zone show a reading, or have gone past it: where they were put forward over it, that
// is the moment at which they were; where they show it twice, as they were put back, it is the first of the two.
func firstReading(reading time.Time, zone *time.Location) time.Time {
	at := time.Date(reading.Year(), reading.Month(), reading.Day(), reading.Hour(), reading.Minute(), 0, 0, zone)
	begin, end := at.ZoneBounds()
	switch shown := readingOf(at); {
	case shown.Before(reading): // skipped, and at is still before the jump
		return end
	case shown.After(reading): // skipped, and at is after the jump
		return begin
	}
	if !begin.IsZero() { // shown once more before the clocks were put back?
		_, offset := begin.Add(-time.Second).Zone()
		if earlier := reading.Add(-time.Duration(offset) * time.Second); earlier.Before(begin) {
			return earlier.In(zone)
		}
	}
	return at
}

// readingOf is what the clocks show, written as if it were UTC, to compare.
func readingOf(at time.Time) time.Time {
	_, offset := at.Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// moment writes a time for people, as those there see it.
func moment(at time.Time, zone *time.Location) string {
	text := at.In(zone).Format("Mon 2006-01-02 15:04 -07:00")
	if zone != time.UTC && !strings.HasPrefix(zone.String(), "Etc/") {
		text += " (" + zone.String() + ")"
	}
	return strings.Replace(text, " +00:00", " UTC", 1)
}
