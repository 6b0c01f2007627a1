package cli

import (
	"bufio"
	"io"
	"os"

	"github.com/go-logr/logr"
)

const (
	// maxTold is how many different lines of libraries are told: they are warnings about fields, of which there are a handful.
	maxTold = 64
	// maxLine is how long a line of theirs may be, in bytes; what comes after a longer one is thrown away.
	maxLine = 64 << 10
)

// logLibraries has what libraries write to the standard error go to the log, each line once: Kustomize warns there of old fields at each
// build, in lines that nobody can read who expects JSON. It is for a process that is an agent and nothing else; the runtime's own words,
// such as those of a panic, don't go through it. Where there is no pipe, all stays as it is.
func logLibraries(log logr.Logger) {
	from, to, err := os.Pipe()
	if err != nil {
		log.Error(err, "Warnings of libraries come as they are")
		return
	}
	os.Stderr = to
	go tellLines(log, from) // until the process ends
}

// tellLines logs the lines of a stream, each once, to its end.
func tellLines(log logr.Logger, from io.Reader) {
	told := map[string]bool{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || told[line] || len(told) >= maxTold {
			continue
		}
		told[line] = true
		log.Info("A library says: " + line)
	}
	_, _ = io.Copy(io.Discard, from) // whoever writes must not wait
}
