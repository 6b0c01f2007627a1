package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// auditPolicy logs one line per request, when it is complete. A watch is complete when it ends, so its start is logged too.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`

// auditLog is what an API server was asked.
type auditLog struct{ path string }

// size is where the log ends now.
func (l auditLog) size() int64 {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// count returns the requests between two places in the log of clients whose user agent begins with one of the names, by verb. A change
// of a status counts as "status".
func (l auditLog) count(from, to int64, clients []string) (map[string]int, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer file.Close()
	counts := map[string]int{}
	lines := bufio.NewScanner(io.NewSectionReader(file, from, to-from))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Subresource string }
		}
		if err := json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &event); err != nil {
			continue // the first or last line, cut
		}
		if !slices.ContainsFunc(clients, func(name string) bool { return strings.HasPrefix(event.UserAgent, name) }) {
			continue
		}
		switch {
		case event.ObjectRef.Resource == "leases":
			continue
		case event.ObjectRef.Resource == "events":
			counts["event"]++
		case event.ObjectRef.Subresource == "status":
			counts["status"]++
		default:
			counts[event.Verb]++
		}
	}
	return counts, lines.Err()
}
