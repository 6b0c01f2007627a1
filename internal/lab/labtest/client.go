package labtest

import (
	"net/http"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Client returns a client without a cache for Kubernetes' own kinds and those that the functions, such as v1alpha1.AddToScheme, add to its
// scheme. It asks nothing before it is used. The test ends where it can't be made.
func Client(t testing.TB, cfg *rest.Config, kinds ...func(*runtime.Scheme) error) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme() // client-go's own is everybody's
	for _, add := range append([]func(*runtime.Scheme) error{clientgoscheme.AddToScheme}, kinds...) {
		if err := add(scheme); err != nil {
			t.Fatalf("make a scheme: %v", err)
		}
	}
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("make client: %v", err)
	}
	return c
}

// Client returns the administrator's client, as the function of the same name makes it.
func (e *Env) Client(t testing.TB, kinds ...func(*runtime.Scheme) error) client.WithWatch {
	t.Helper()
	return Client(t, e.Config, kinds...)
}

// RoundTripper is a function that stands between a client and the API server, for rest.Config.Wrap.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
