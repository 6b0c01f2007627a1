package chart

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Error says why a chart can't be rendered. Its text may quote values: whoever knows which of them are secret takes them out.
type Error struct {
	// File of the chart, with the line where it is known; empty for all of it.
	File string
	// Message says what is wrong.
	Message string
	// Err is the cause, if there is one.
	Err error
}

func (e *Error) Error() string {
	if e.File == "" {
		return e.Message
	}
	return e.File + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func failf(file, format string, args ...any) *Error {
	return &Error{File: file, Message: fmt.Sprintf(format, args...)}
}

// where finds the innermost place in what text/template says: "template: NAME:LINE:COLUMN: executing …: error calling include: template: …".
var where = regexp.MustCompile(`template: ([^:]+):(\d+)(?::\d+)?: (?:executing "[^"]*" at <[^>]*>: )?`)

// explain makes an Error of what parsing or executing a template ended with.
func explain(file string, err error) error {
	var ours *Error
	if errors.As(err, &ours) && ours.File != "" {
		return err
	}
	text := err.Error()
	if places := where.FindAllStringSubmatchIndex(text, -1); len(places) > 0 {
		last := places[len(places)-1]
		file = text[last[2]:last[3]] + ":" + text[last[4]:last[5]]
		text = text[last[1]:]
	}
	if _, after, found := strings.Cut(text, "error calling "); found {
		if _, said, found := strings.Cut(after, ": "); found && errors.As(err, &ours) {
			text = said
		}
	}
	return &Error{File: file, Message: text, Err: err}
}
