package telemetry

import (
	"net/http"
	"strconv"
	"strings"
)

// Transport counts the requests that go through it, for the object in whose run they are made. It is for rest.Config.Wrap.
func (t *Telemetry) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return counting{t, next}
}

type counting struct {
	*Telemetry

	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	if r := From(req.Context()); r != nil {
		r.account.requests.Add(1)
	}
	resp, err := c.next.RoundTrip(req)
	code := "none"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	c.metrics.requests.WithLabelValues(verbOf(req), code).Inc()
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (c counting) WrappedRoundTripper() http.RoundTripper { return c.next }

// verbOf is the verb that RBAC knows a request by; "get" for what isn't about a resource.
func verbOf(req *http.Request) string {
	switch req.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	if query := req.URL.RawQuery; strings.Contains(query, "watch=1") || strings.Contains(query, "watch=true") {
		return "watch"
	}
	if listing(req.URL.Path) {
		return "list"
	}
	return "get"
}

// listing tells whether a path names a collection: /api/v1/pods, /apis/apps/v1/namespaces/shop/deployments.
func listing(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	return len(parts) == 1
}
