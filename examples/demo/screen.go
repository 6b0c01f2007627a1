package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// screen shows what happens: chapters, steps with the time they took, and
// remarks. On a terminal it has colours and shows a step while it runs.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	now      func() time.Time
	began    time.Time
	chapters int
	live     bool
	colour   bool
}

func newScreen(out *os.File, now func() time.Time) *screen {
	live := term.IsTerminal(int(out.Fd()))
	return &screen{
		out: out, now: now, began: now(), live: live,
		colour: live && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

// chapter begins a part of the story.
func (s *screen) chapter(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chapters++
	fmt.Fprintf(s.out, "\n%s\n", s.paint("1", fmt.Sprintf("%d. %s", s.chapters, title)))
}

// step does something and shows it with its time.
func (s *screen) step(text string, do func() error) error {
	began := s.now()
	s.mu.Lock()
	if s.live {
		fmt.Fprintf(s.out, "   %s %s", s.paint("2", "…"), text)
	}
	s.mu.Unlock()
	err := do()
	mark := s.paint("32", "✓")
	if err != nil {
		mark = s.paint("31", "✗")
	}
	s.line(fmt.Sprintf("   %s %s %s", mark, text, s.paint("2", brief(s.now().Sub(began)))))
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// held shows something that was checked and holds.
func (s *screen) held(format string, args ...any) {
	s.line(fmt.Sprintf("   %s %s", s.paint("32", "✓"), fmt.Sprintf(format, args...)))
}

// command shows what a person would type for what happens next.
func (s *screen) command(format string, args ...any) {
	s.line("   " + s.paint("36", "$ "+fmt.Sprintf(format, args...)))
}

// quote shows somebody's words, wrapped.
func (s *screen) quote(text string) {
	for _, line := range wrap(text, 96) {
		s.line("     " + s.paint("33", line))
	}
}

// say shows plain text.
func (s *screen) say(format string, args ...any) { s.line(fmt.Sprintf(format, args...)) }

// fail shows why the demo ends early.
func (s *screen) fail(err error) {
	s.line("")
	s.line(s.paint("31", "The demo doesn't hold: ") + err.Error())
}

// line prints a whole line, over a live one where there is one.
func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	fmt.Fprintln(s.out, text)
}

// took is the time since the demo began.
func (s *screen) took() string { return brief(s.now().Sub(s.began)) }

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// brief prints a duration as people say it.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// wrap breaks text into lines of at most width letters, at spaces and where it
// has line breaks of its own.
func wrap(text string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		lines = append(lines, line)
	}
	return lines
}
