package process

import (
	"bytes"
	"os"
)

// Tail returns the last lines of a log, for an error about the component that wrote it.
func Tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	rows := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(rows[max(0, len(rows)-lines):], []byte("\n")))
}
