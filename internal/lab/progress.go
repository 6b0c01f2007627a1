package lab

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/program"
)

// Progress is told what a command does while it does it.
type Progress interface {
	// Step says that something begins; what it returns is called when that has ended.
	Step(text string) (done func(error))
	// Note says something that a person should know.
	Note(text string)
	// Build says how far the build of an executable is.
	Build(program.Progress)
}

type silent struct{}

func (silent) Step(string) func(error) { return func(error) {} }
func (silent) Note(string)             {}
func (silent) Build(program.Progress)  {}

// buildInterval is how often a build is heard of where lines can't be overwritten.
const buildInterval = 15 * time.Second

// writer prints progress as lines.
type writer struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool
	now   func() time.Time
	build struct {
		name          string
		began, spoken time.Time
	}
}

// NewProgress prints each step with the time that it took. live says that out is a terminal, on which a line may be overwritten.
func NewProgress(out io.Writer, live bool) Progress {
	return &writer{out: out, live: live, now: time.Now}
}

func (w *writer) Step(text string) func(error) {
	began := w.now()
	return func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		mark := "✓"
		if err != nil {
			mark = "✗"
		}
		fmt.Fprintf(w.out, "%s%s %s (%s)\n", w.clear(), mark, text, brief(w.now().Sub(began)))
	}
}

func (w *writer) Note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.out, "%s%s\n", w.clear(), text)
}

func (w *writer) Build(p program.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if w.build.name != p.Program {
		w.build.name, w.build.began, w.build.spoken = p.Program, now, now
		fmt.Fprintf(w.out, "%sBuilding %s from source, once; the first build of the lab takes some minutes\n", w.clear(), p.Program)
	}
	elapsed := brief(now.Sub(w.build.began))
	switch {
	case p.Done:
		fmt.Fprintf(w.out, "%sBuilt %s in %s\n", w.clear(), p.Program, elapsed)
		w.build.name = ""
	case w.live:
		fmt.Fprintf(w.out, "%s  %s", w.clear(), buildLine(p, elapsed))
	case now.Sub(w.build.spoken) >= buildInterval:
		w.build.spoken = now
		fmt.Fprintf(w.out, "  %s\n", buildLine(p, elapsed))
	}
}

func buildLine(p program.Progress, elapsed string) string {
	if p.Total == 0 {
		return fmt.Sprintf("%s: %d packages compiled, %s", p.Program, p.Compiled, elapsed)
	}
	return fmt.Sprintf("%s: %d of at most %d packages compiled, %s", p.Program, p.Compiled, p.Total, elapsed)
}

// clear wipes the live line, if any.
func (w *writer) clear() string {
	if w.live {
		return "\r\x1b[K"
	}
	return ""
}

// brief prints a duration with one digit after the point below a minute, and whole seconds above.
func brief(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
