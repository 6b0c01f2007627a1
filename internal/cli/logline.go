package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// logLevels ranks the levels of a log; "" asks for all of them.
func logLevels() map[string]int {
	return map[string]int{"": 0, "debug": 0, "info": 1, "warn": 2, "error": 3}
}

// logLine is one line of the agent's log. A line that isn't JSON (a panic, say) has its text only.
type logLine struct {
	raw, pod              string
	time, level, msg, err string
	kind, namespace, name string
	rest                  map[string]any
	structured            bool
}

// parseLogLine reads a line as the agent writes it with --log-encoding=json.
func parseLogLine(raw, pod string) logLine {
	line := logLine{raw: raw, pod: pod}
	var fields map[string]any
	if json.Unmarshal([]byte(raw), &fields) != nil {
		return line
	}
	take := func(keys ...string) string {
		for _, key := range keys {
			if text, ok := fields[key].(string); ok {
				delete(fields, key)
				return text
			}
		}
		return ""
	}
	line.structured = true
	line.time, line.level, line.msg, line.err = take("ts", "time"), take("level"), take("msg"), take("error")
	line.kind = take("controllerKind", "reconciler kind", "kind")
	line.namespace, line.name = take("namespace", "reconciler namespace"), take("name", "reconciler name")
	for _, known := range []string{"controller", "controllerGroup", "reconcileID", "stacktrace", line.kind} {
		delete(fields, known)
	}
	line.rest = fields
	return line
}

// logFilter says which lines are wanted; its zero value wants all.
type logFilter struct {
	kind, namespace, name string
	rank                  int // the lowest level, by logLevels
}

// matches reports whether a line is wanted. What isn't structured is about nothing in particular and as bad as an error, so it is
// wanted unless an object was asked for.
func (f logFilter) matches(line logLine) bool {
	if !line.structured {
		return f.kind == "" && f.name == "" && f.namespace == ""
	}
	return (f.kind == "" || strings.EqualFold(f.kind, line.kind)) &&
		(f.name == "" || f.name == line.name) &&
		(f.namespace == "" || f.namespace == line.namespace) &&
		logLevels()[line.level] >= f.rank
}

// text returns the line for people: time, level, object, message, and what else it says as key=value.
func (l logLine) text(s style, withPod bool) string {
	if !l.structured {
		return l.raw
	}
	words := []string{s.dim(l.time), colourLevel(s, l.level)}
	if withPod {
		words = append(words, s.dim(l.pod))
	}
	if l.name != "" {
		words = append(words, s.bold(strings.Trim(l.kind+"/"+l.namespace+"/"+l.name, "/"))+":")
	}
	words = append(words, l.msg)
	if l.err != "" {
		words = append(words, s.bad(l.err))
	}
	for _, key := range slices.Sorted(maps.Keys(l.rest)) {
		words = append(words, s.dim(key+"="+fmt.Sprint(l.rest[key])))
	}
	return strings.Join(words, " ")
}

func colourLevel(s style, level string) string {
	switch level {
	case "error":
		return s.bad(level)
	case "warn":
		return s.warn(level)
	default:
		return s.dim(level)
	}
}
