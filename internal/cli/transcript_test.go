package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/wait"
)

// transcript is a stream that is read while it is written.
type transcript struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *transcript) have(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.Contains(l.all.String(), text) {
		return fmt.Errorf("nothing says %q:\n%s", text, l.all.String())
	}
	return nil
}

// patience is for what takes a moment, on a machine that has other things to do.
const patience = 90 * time.Second

// eventually tries until it works.
func (w *world) eventually(try func() error) {
	w.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = try()
		return last == nil, nil
	})
	if err != nil {
		w.t.Fatal(last)
	}
}

func quantity(t *testing.T, text string) *resource.Quantity {
	t.Helper()
	q, err := resource.ParseQuantity(text)
	if err != nil {
		t.Fatal(err)
	}
	return &q
}
