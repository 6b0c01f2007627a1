package plan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// TestImages asks a real registry for the images of pods, for a cluster whose nodes are linux/amd64.
func TestImages(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for tag, architecture := range map[string]string{"ours": "amd64", "others": "arm64"} {
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: architecture})
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.NewTag(host+"/runner:"+tag, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
	}
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registries := oci.NewClient(store)
	t.Cleanup(registries.Close)
	w := newWorld(t, func(s *plan.Settings) { s.Images = plan.NewRegistries(registries, []string{host}, time.Now) })
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	if err := w.client.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.env.Client(t).Delete(context.Background(), node) })
	node.Status.NodeInfo = corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64"}
	if err := w.client.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	m := w.module()
	pod := func(image string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: %q}]}", image)
	}
	cases := map[string]struct {
		reason, image, want string
		unseen              int
	}{
		"There":    {reason: "the image is there", image: host + "/runner:ours"},
		"Missing":  {reason: "the registry says that it isn't", image: host + "/runner:none", want: "Images Pod/" + w.name + "/p: runs the image " + host + "/runner:none, which its registry doesn't have"},
		"OtherOne": {reason: "it is for other machines", image: host + "/runner:others", want: "which is for linux/arm64, and the nodes are linux/amd64"},
		"NoAnswer": {reason: "a registry that doesn't answer says nothing of the image", image: "127.0.0.1:1/runner:1", unseen: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.put("1.0.0", pod(c.image))
			p := w.plan(m)
			if c.want == "" {
				wantProblems(t, p, c.reason)
			} else {
				wantProblems(t, p, c.reason, c.want)
			}
			if len(p.Unseen) != c.unseen {
				t.Errorf("%s: not seen: %v", c.reason, p.Unseen)
			}
		})
	}
}

// TestARegistryThatIsSilentIsAskedOnce: in a cluster without a way out, images don't each take their time.
func TestARegistryThatIsSilentIsAskedOnce(t *testing.T) {
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client := oci.NewClient(store)
	t.Cleanup(client.Close)
	now := time.Now()
	r := plan.NewRegistries(client, []string{host}, func() time.Time { return now })
	for range 3 {
		if _, err := r.Platforms(t.Context(), host+"/runner:1"); !errors.Is(err, plan.ErrAskedInVain) {
			t.Fatalf("a registry that says nothing gives %v", err)
		}
	}
	if n := len(asked); n != 1 {
		t.Errorf("it was asked %d times, want once", n)
	}
	now = now.Add(time.Hour)
	if _, err := r.Platforms(t.Context(), host+"/runner:1"); !errors.Is(err, plan.ErrAskedInVain) || len(asked) != 2 {
		t.Errorf("an hour later it was asked %d times, %v, want once more", len(asked), err)
	}
}
