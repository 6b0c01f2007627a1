package term_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

func TestFence(t *testing.T) {
	reached := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer server.Close()
	for name, tc := range map[string]struct {
		reason  string
		prepare func(*term.Fence)
		method  string
		through bool
	}{
		"NeverLed":    {"a process that stands by may write what such a process writes", func(*term.Fence) {}, http.MethodPatch, true},
		"Leads":       {"who holds the lease may write", func(f *term.Fence) { f.Extend(time.Now().Add(time.Minute)) }, http.MethodPatch, true},
		"RanOut":      {"who may have lost it may not", func(f *term.Fence) { f.Extend(time.Now().Add(-time.Second)) }, http.MethodPatch, false},
		"RanOutReads": {"but may read", func(f *term.Fence) { f.Extend(time.Now().Add(-time.Second)) }, http.MethodGet, true},
		"Closed":      {"who gave it away may not write", func(f *term.Fence) { f.Close() }, http.MethodPost, false},
		"ClockSetBack": {"who may have lost it may not, whatever the clock says", func(f *term.Fence) {
			f.Extend(setBack(t, time.Now().Add(-time.Second)))
		}, http.MethodPatch, false},
		"Again": {"who has it again may", func(f *term.Fence) { f.Close(); f.Extend(time.Now().Add(time.Minute)) }, http.MethodDelete, true},
	} {
		t.Run(name, func(t *testing.T) {
			var fence term.Fence
			tc.prepare(&fence)
			reached = 0
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := fence.Wrap(http.DefaultTransport).RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			if through := err == nil && reached == 1; through != tc.through {
				t.Errorf("%s: let through %v, %v", tc.reason, through, err)
			}
			if !tc.through && !errors.Is(err, term.ErrFenced) {
				t.Errorf("%s: got %v, want ErrFenced", tc.reason, err)
			}
		})
	}
}

// setBack returns the time as it was kept by a process whose clock was set back an hour since: by the clock it is an hour ahead, and it has
// passed all the same.
func setBack(t *testing.T, at time.Time) time.Time {
	t.Helper()
	const second = 1 << 30 // of the part that is read from the clock, above the nanoseconds
	(*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&at)).wall += 3600 * second
	if now := time.Now(); !at.Before(now) || !at.Round(0).After(now.Round(0)) {
		t.Fatalf("time.Time isn't built as this test thinks: %s", at)
	}
	return at
}
