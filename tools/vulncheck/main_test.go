package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReach(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		ok     bool
	}{
		"There":   {reason: "a database that answers is used", status: http.StatusOK, ok: true},
		"Refused": {reason: "a proxy that refuses is no database", status: http.StatusForbidden},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tc.status) }))
			defer server.Close()
			if err := reach(t.Context(), server.Client(), server.URL); (err == nil) != tc.ok {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if err := reach(t.Context(), http.DefaultClient, gone.URL); err == nil {
		t.Error("a database where nothing listens: got no error")
	}
}
