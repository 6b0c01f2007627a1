package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// App is what the verbs share: the streams, how to write on them, and which cluster is meant.
type App struct {
	Streams

	cluster clusterFlags
	out     style
	err     style
	now     func() time.Time
}

func newApp(streams Streams) *App {
	return &App{
		Streams: streams,
		out:     styleFor(streams.Out),
		err:     styleFor(streams.Err),
		now:     time.Now,
	}
}

// progressf tells a person at a terminal what happens now. Scripts don't get it.
func (a *App) progressf(format string, args ...any) {
	if a.err.terminal {
		fmt.Fprintln(a.Err, a.err.dim("  "+fmt.Sprintf(format, args...)))
	}
}

// waitf says what a verb that may take minutes waits for. Scripts get it too, on Err: a silent wait looks like a hang in a pipeline's log.
func (a *App) waitf(format string, args ...any) {
	fmt.Fprintln(a.Err, a.err.dim("  "+fmt.Sprintf(format, args...)))
}

// donef prints the outcome of a verb.
func (a *App) donef(format string, args ...any) {
	mark := ""
	if a.out.terminal {
		mark = a.out.good("✔") + " "
	}
	fmt.Fprintln(a.Out, mark+fmt.Sprintf(format, args...))
}

// warnf prints what the user should know although the verb goes on.
func (a *App) warnf(format string, args ...any) {
	fmt.Fprintln(a.Err, a.err.warn("warning:")+" "+fmt.Sprintf(format, args...))
}

// style decorates text for one stream.
type style struct {
	terminal bool // progress may be shown
	colour   bool // escape sequences may be written
}

// styleFor looks at w: only a terminal gets progress, and only without NO_COLOR (https://no-color.org) and with a TERM that is
// not dumb it gets colours.
func styleFor(w io.Writer) style {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return style{}
	}
	return style{terminal: true, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s style) good(text string) string { return s.paint("32", text) }
func (s style) warn(text string) string { return s.paint("33", text) }
func (s style) bad(text string) string  { return s.paint("31", text) }
func (s style) dim(text string) string  { return s.paint("2", text) }
func (s style) bold(text string) string { return s.paint("1", text) }

func (s style) paint(code, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
