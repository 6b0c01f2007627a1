package crd

import (
	"encoding/json"
	"fmt"
)

const (
	// etcdBytes is the largest request that etcd takes by default (--max-request-bytes).
	etcdBytes = 1536 << 10
	// secretBytes is the largest content of a Secret (MaxSecretSize in k8s.io/api/core/v1), which revisions are kept in.
	secretBytes = 1 << 20
)

// sizes judges whether the definition can be stored. The API server keeps definitions as JSON, together with the record of who
// manages which field; how large that is, the live definition tells.
func sizes(r *Report, c Change) {
	content, err := json.Marshal(c.Next)
	if err != nil {
		return // a definition that was read can be written
	}
	size := len(content)
	if c.Live != nil {
		if fields, err := json.Marshal(c.Live.ManagedFields); err == nil {
			size += len(fields)
		}
	}
	detail := fmt.Sprintf("%d KiB; etcd takes %d, a Secret %d", (size+1023)>>10, etcdBytes>>10, secretBytes>>10)
	switch {
	case size > etcdBytes:
		r.add(Forward, TooLarge, "", "", detail)
	case size > secretBytes:
		r.add(Forward, Large, "", "", detail)
	}
}
