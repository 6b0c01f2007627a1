package oci_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// machine is an image for one kind of machine.
func machine(t *testing.T, os, architecture string) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: os, Architecture: architecture})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPlatforms(t *testing.T) {
	w := newWorld(t)
	one := machine(t, "linux", "arm64")
	if err := remote.Write(w.tag("one"), one); err != nil {
		t.Fatal(err)
	}
	both := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: machine(t, "linux", "amd64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: machine(t, "", ""), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	if err := remote.WriteIndex(w.tag("both"), both); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		tag    string
		want   []string
		err    error
	}{
		"Index": {reason: "an index says it, and attestations are no machines", tag: ":both", want: []string{"linux/amd64", "linux/arm64"}},
		"One":   {reason: "a single image says it in its configuration", tag: ":one", want: []string{"linux/arm64"}},
		"None":  {reason: "what isn't there is told apart from what nobody can say", tag: ":none", err: oci.ErrNoImage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := w.client.Platforms(t.Context(), w.host()+"/team/shop"+c.tag, oci.Auth{}, true)
			if !errors.Is(err, c.err) {
				t.Fatalf("%s: %v, want %v", c.reason, err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
		})
	}
	w.take()
	if _, err := w.client.Platforms(t.Context(), w.host()+"/team/shop:both", oci.Auth{}, true); err != nil {
		t.Fatal(err)
	}
	if asked := w.take(); len(asked) != 1 || !strings.HasPrefix(asked[0], http.MethodHead) {
		t.Errorf("what is known is asked for with %v, want one HEAD", asked)
	}
	w.on(func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	var typed *source.Error
	if _, err := w.client.Platforms(t.Context(), w.host()+"/private/shop:1", oci.Auth{}, true); !errors.As(err, &typed) || errors.Is(err, oci.ErrNoImage) {
		t.Errorf("a registry that wants a login gives %v, want another error than ErrNoImage", err)
	}
	if _, err := w.client.Platforms(t.Context(), "NOT A NAME", oci.Auth{}, true); !errors.As(err, &typed) {
		t.Errorf("what is no name gives %v", err)
	}
}
