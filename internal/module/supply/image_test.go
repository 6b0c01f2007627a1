package supply_test

import (
	"errors"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestImageIsSigned: an agent that takes signed packages only takes no other image of itself, whoever may push to its repository, and whatever a
// catalogue says.
func TestImageIsSigned(t *testing.T) {
	w := newWorld(t)
	signer, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	w.shelf.Verify = &pack.Verification{Keys: map[string][]byte{"cosign.pub": signer.Public}}
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(w.host+"/agent:1.1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: "ci", Password: "ci"})); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m := &v1alpha1.Module{Spec: v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: "agent"}}}}
	m.Name = "agent"
	running := v1alpha1.RevisionReference{Version: "1.0.0", Digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
	if got, err := w.shelf.Image(t.Context(), m, w.host+"/agent:1.0.0", running); !errors.Is(err, plan.ErrUntrusted) || got.Digest != "" {
		t.Errorf("nobody has signed it, and it gives %+v, %v", got, err)
	}
	if err := signer.Sign(w.host + "/agent@" + digest.String()); err != nil {
		t.Fatal(err)
	}
	if got, err := w.shelf.Image(t.Context(), m, w.host+"/agent:1.0.0", running); err != nil || string(got.Digest) != digest.String() {
		t.Errorf("it is signed, and gives %+v, %v", got, err)
	}
}
