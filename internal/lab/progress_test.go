package lab

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/lab/program"
)

// watch is a clock that a test moves.
type watch struct{ time time.Time }

func (w *watch) now() time.Time { return w.time }

func (w *watch) pass(d time.Duration) { w.time = w.time.Add(d) }

func TestProgressInALog(t *testing.T) {
	var out strings.Builder
	clock := &watch{time: time.Unix(0, 0)}
	p := &writer{out: &out, now: clock.now}

	done := p.Step("API server")
	clock.pass(2900 * time.Millisecond)
	done(nil)
	p.Build(program.Progress{Program: "slipway-lab"})
	for compiled := range 40 { // one a second: only now and then is there a line
		clock.pass(time.Second)
		p.Build(program.Progress{Program: "slipway-lab", Compiled: compiled, Total: 1900})
	}
	clock.pass(time.Minute)
	p.Build(program.Progress{Program: "slipway-lab", Done: true})
	p.Step("Nodes")(errors.New("no"))

	want := `✓ API server (2.9s)
Building slipway-lab from source, once; the first build of the lab takes some minutes
  slipway-lab: 14 of at most 1900 packages compiled, 15.0s
  slipway-lab: 29 of at most 1900 packages compiled, 30.0s
Built slipway-lab in 1m40s
✗ Nodes (0.0s)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProgressOnATerminalIsOneLiveLine(t *testing.T) {
	var out strings.Builder
	clock := &watch{time: time.Unix(0, 0)}
	p := &writer{out: &out, now: clock.now, live: true}
	p.Build(program.Progress{Program: "slipway-lab"})
	clock.pass(time.Second)
	p.Build(program.Progress{Program: "slipway-lab", Compiled: 7})
	p.Build(program.Progress{Program: "slipway-lab", Done: true})
	live := "\r\x1b[K  slipway-lab: 7 packages compiled, 1.0s"
	if got := out.String(); !strings.Contains(got, live+"\r\x1b[K") || strings.Count(got, "\n") != 2 {
		t.Errorf("got %q, want %q overwritten in place", got, live)
	}
}
