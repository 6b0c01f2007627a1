package telemetry

import (
	"net/http"
	"testing"
)

func TestVerbOf(t *testing.T) {
	cases := map[string]struct{ reason, method, url, want string }{
		"Get":        {"one object of the core group", http.MethodGet, "/api/v1/namespaces/shop/pods/web", "get"},
		"List":       {"a collection in a namespace", http.MethodGet, "/apis/apps/v1/namespaces/shop/deployments", "list"},
		"ListAll":    {"a collection in all namespaces", http.MethodGet, "/apis/apps/v1/deployments?limit=500", "list"},
		"Namespace":  {"a namespace is an object, not only a part of paths", http.MethodGet, "/api/v1/namespaces/shop", "get"},
		"Namespaces": {"all namespaces", http.MethodGet, "/api/v1/namespaces", "list"},
		"Watch":      {"a watch, as client-go writes it", http.MethodGet, "/api/v1/pods?timeoutSeconds=300&watch=true", "watch"},
		"Patch":      {"an apply", http.MethodPatch, "/api/v1/namespaces/shop/configmaps/a?force=true", "patch"},
		"Status":     {"a subresource", http.MethodGet, "/api/v1/namespaces/shop/pods/web/status", "get"},
		"Discovery":  {"what is no resource", http.MethodGet, "/apis", "get"},
		"Delete":     {"a deletion", http.MethodDelete, "/api/v1/namespaces/shop/pods/web", "delete"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, "https://cluster"+tc.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := verbOf(req); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
