package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFromEnv(t *testing.T) {
	cases := map[string]struct {
		reason string
		env    map[string]string
		want   Config
		err    bool
	}{
		"Defaults": {
			reason: "a service runs with an empty environment",
			want:   Config{Service: "s", Version: "1", Address: ":8080", Environment: "local", Drain: time.Second},
		},
		"Set": {
			reason: "everything can be said",
			env:    map[string]string{"SHOP_ADDRESS": ":1", "SHOP_ENVIRONMENT": "dev", "SHOP_DRAIN": "0s"},
			want:   Config{Service: "s", Version: "1", Address: ":1", Environment: "dev"},
		},
		"Wrong": {reason: "a drain time without a unit is refused", env: map[string]string{"SHOP_DRAIN": "5"}, err: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := FromEnv("s", "1", func(k string) string { return tc.env[k] })
			if (err != nil) != tc.err {
				t.Fatalf("%s: error %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServeAndDrain(t *testing.T) {
	s := New(Config{Service: "s", Version: "1.2.3", Environment: "test", Drain: 300 * time.Millisecond}, slog.New(slog.DiscardHandler))
	s.Handle("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "nobody" {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, "hello")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()

	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/hello/you": 200, "/hello/nobody": 404, "/none": 404} {
		if code, body := get(t, base+path); code != want {
			t.Errorf("GET %s: %d %s, want %d", path, code, body, want)
		}
	}
	_, body := get(t, base+"/version")
	var v Version
	if err := json.Unmarshal([]byte(body), &v); err != nil || v != (Version{"s", "1.2.3", "test"}) {
		t.Errorf("version %q (%v)", body, err)
	}
	_, body = get(t, base+"/metrics")
	if want := `shop_request_duration_seconds_count{service="s",route="GET /hello/{name}",code="404"} 1`; !strings.Contains(body, want) {
		t.Errorf("metrics lack %s:\n%s", want, body)
	}

	stop()
	// While it drains it answers, and says that it isn't ready.
	for {
		code, _ := get(t, base+"/readyz")
		if code == http.StatusServiceUnavailable {
			break
		}
	}
	if code, _ := get(t, base+"/hello/you"); code != http.StatusOK {
		t.Errorf("a request while draining got %d", code)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestClient(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			_, _ = io.Copy(w, r.Body)
		case "/garbage":
			fmt.Fprint(w, "<html>")
		default:
			http.Error(w, "out of rope", http.StatusConflict)
		}
	}))
	defer other.Close()
	c := NewClient("other", other.URL)

	var back map[string]int
	if err := c.Call(t.Context(), http.MethodPost, "/echo", map[string]int{"a": 1}, &back); err != nil || back["a"] != 1 {
		t.Errorf("echo: %v %v", back, err)
	}
	err := c.Call(t.Context(), http.MethodGet, "/refuse", nil, nil)
	var status *StatusError
	if !errors.As(err, &status) || *status != (StatusError{"other", 409, "out of rope"}) {
		t.Errorf("refusal: %v", err)
	}
	if err := c.Call(t.Context(), http.MethodGet, "/garbage", nil, &back); err == nil {
		t.Error("garbage was taken for an answer")
	}
	other.Close()
	if err := c.Call(t.Context(), http.MethodGet, "/echo", nil, nil); err == nil || !strings.Contains(err.Error(), "call other") {
		t.Errorf("unreachable: %v", err)
	}
}
