package agent

import "github.com/go-logr/logr"

// maxVerbosity is what --log-level=trace lets through. From 6 on client-go logs addresses and headers, from 8 on the bodies of requests and
// answers, which hold Secrets.
const maxVerbosity = 2

// discreet returns a logger that logs nothing above maxVerbosity, whatever the given one would.
func discreet(log logr.Logger) logr.Logger {
	sink := log.GetSink()
	if sink == nil {
		return log
	}
	if deeper, ok := sink.(logr.CallDepthLogSink); ok {
		sink = deeper.WithCallDepth(1) // capped's own frame
	}
	return logr.New(capped{sink})
}

// capped is a sink that takes no details.
type capped struct{ logr.LogSink }

// Enabled implements logr.LogSink.
func (c capped) Enabled(level int) bool { return level <= maxVerbosity && c.LogSink.Enabled(level) }

// WithValues implements logr.LogSink.
func (c capped) WithValues(keysAndValues ...any) logr.LogSink {
	return capped{c.LogSink.WithValues(keysAndValues...)}
}

// WithName implements logr.LogSink.
func (c capped) WithName(name string) logr.LogSink { return capped{c.LogSink.WithName(name)} }
