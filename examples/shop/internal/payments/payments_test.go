package payments

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

func TestCharges(t *testing.T) {
	cases := map[string]struct {
		reason string
		body   string
		want   int
	}{
		"AtLimit":   {"a charge up to the limit is accepted", `{"reference":"a","amount":100}`, http.StatusCreated},
		"AboveIt":   {"one above is declined", `{"reference":"a","amount":101}`, http.StatusPaymentRequired},
		"Nothing":   {"nothing can't be charged", `{"reference":"a"}`, http.StatusBadRequest},
		"Negative":  {"nor can less", `{"reference":"a","amount":-1}`, http.StatusBadRequest},
		"Anonymous": {"a charge needs a reference", `{"amount":1}`, http.StatusBadRequest},
		"NotJSON":   {"a charge is JSON", `amount=1`, http.StatusBadRequest},
	}
	s := server.New(server.Config{Service: "payments"}, slog.New(slog.DiscardHandler))
	Routes(s, 100)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(tc.body)))
			if w.Code != tc.want {
				t.Errorf("%s: status %d %s, want %d", tc.reason, w.Code, w.Body, tc.want)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	cases := map[string]struct {
		reason, env string
		want        int
		err         bool
	}{
		"Default": {reason: "there is a limit without configuration", want: DefaultLimit},
		"Set":     {reason: "it can be set", env: "7", want: 7},
		"Word":    {reason: "it is a number", env: "lots", err: true},
		"Zero":    {reason: "of at least one cent", env: "0", err: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Limit(func(string) string { return tc.env })
			if got != tc.want || (err != nil) != tc.err {
				t.Errorf("%s: %d, %v", tc.reason, got, err)
			}
		})
	}
}
