package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// GivenNode begins a story on a cluster with a real node. It is skipped where
// the machine can't have one.
func GivenNode(t *testing.T) *Givens {
	t.Helper()
	t.Parallel()
	env := labtest.Cluster(t)
	s := newStory(t, &env.Env, shared.agent(t, &env.Env))
	s.registry = env.Lab.Registry()
	// The cluster outlives the test binary, so the story tidies up after itself.
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
		if err := s.Client.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return s.given()
}

// Image builds a command of this repository and brings an image of it into the
// cluster's registry.
func (g *Givens) Image(ref, command string) *Givens {
	g.T.Helper()
	top, err := root()
	if err != nil {
		g.T.Fatal(err)
	}
	binary := filepath.Join(g.T.TempDir(), filepath.Base(command))
	cmd := exec.CommandContext(g.T.Context(), "go", "build", "-trimpath", "-o", binary, command)
	cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		g.T.Fatalf("go build %s: %v\n%s", command, err, out)
	}
	tag, err := image.ParseTag(ref)
	if err != nil {
		g.T.Fatal(err)
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		g.T.Fatal(err)
	}
	if _, err := image.Push(g.T.Context(), g.registry, tag, img); err != nil {
		g.T.Fatal(err)
	}
	return g
}
