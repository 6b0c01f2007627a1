package kube

import (
	"bytes"
	"fmt"
	"sync"
)

const (
	// maxDocument is what one answer may weigh: see document. A page of 500 objects weighs a few millions; who lists may ask for less at a time.
	maxDocument = 32 << 20
	// largeDocument is from which weight on answers are read one after the other, largeAtOnce at a time.
	largeDocument = 1 << 20
	largeAtOnce   = 2
	// maxKept is what may be remembered of remote clusters under one allowance, in bytes: some 300,000 objects.
	maxKept = 128 << 20
)

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

	mu   sync.Mutex
	kept int64
}

// NewAllowance returns an allowance of which nothing is used.
func NewAllowance() *Allowance { return &Allowance{large: make(chan struct{}, largeAtOnce)} }

// Keep counts bytes that are remembered until they are released. The error is a *TooLargeError; then nothing was counted.
func (a *Allowance) Keep(bytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept+bytes > maxKept {
		return &TooLargeError{"what is to be remembered of this namespace's remote clusters", maxKept}
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
