package kube

import (
	"bytes"
	"fmt"
	"sync"
)

const (
	// maxDocument is what one answer may weigh: see document. Who lists may ask for less at a time.
	maxDocument = 32 << 20
	// largeDocument is from which weight on answers are read one after the other, largeAtOnce at a time.
	largeDocument = 1 << 20
	largeAtOnce   = 2
)

// KeepAtMost is what may be remembered of the remote clusters of a namespace, in bytes: some 300,000 objects.
const KeepAtMost = 128 << 20

// TooLargeError says that what a server answers, or what would have to be remembered of it, is more than it may be.
type TooLargeError struct {
	what string
	most int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is too large: it would take more than %d MiB of memory", e.what, e.most>>20)
}

// Allowance is the memory that the API servers which somebody brings may make this process use. It is safe for concurrent use.
type Allowance struct {
	large chan struct{} // one place for each large answer that is being read
	most  int64         // bytes that may be kept

	mu   sync.Mutex
	kept int64
}

// NewAllowance returns an allowance of which nothing is used, to keep so many bytes at most.
func NewAllowance(most int64) *Allowance {
	return &Allowance{large: make(chan struct{}, largeAtOnce), most: most}
}

// Keep counts bytes that are remembered until they are released. The error is a *TooLargeError; then nothing was counted.
func (a *Allowance) Keep(bytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept+bytes > a.most {
		return &TooLargeError{"what is to be remembered of this namespace's remote clusters", a.most}
	}
	a.kept += bytes
	return nil
}

// Release gives back what was kept.
func (a *Allowance) Release(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept -= bytes
}

// element is what each value within a JSON document weighs beside its text: an empty object of three bytes becomes some hundreds.
const element = 128

// document weighs JSON while it is read: what it will take when it is decoded, roughly. The zero value is one of which nothing was read.
type document struct {
	weight  int64
	depth   int
	quoted  bool
	escaped bool
}

// read weighs bytes up to the end of the document, and returns how many, and whether it ends there.
func (d *document) read(p []byte) (n int, ends bool) {
	for i := 0; i < len(p); i++ {
		if d.quoted {
			i += d.quote(p[i:])
			continue
		}
		switch p[i] {
		case '"':
			d.quoted = true
		case '{', '[':
			d.weight += element
			d.depth++
		case ',':
			d.weight += element
		case '}', ']':
			if d.depth--; d.depth == 0 {
				d.weight += int64(i + 1)
				return i + 1, true
			}
		}
	}
	d.weight += int64(len(p))
	return len(p), false
}

// quote reads what is within quotes, and returns how many bytes come before the last one it read.
func (d *document) quote(p []byte) int {
	if d.escaped {
		d.escaped = false
		return 0
	}
	end := bytes.IndexByte(p, '"')
	if end < 0 {
		end = len(p) - 1
	}
	if i := bytes.IndexByte(p[:end+1], '\\'); i >= 0 {
		d.escaped = true
		return i
	}
	d.quoted = p[end] != '"'
	return end
}
