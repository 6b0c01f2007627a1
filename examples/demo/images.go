package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/examples/shop"
	"github.com/slipway-dev/slipway/internal/image"
)

// images are the programs that the demo runs in the cluster, built from this
// repository.
type images struct {
	dir string // of the binaries
	// digests of what was pushed: image name → sha256:…
	first, second map[string]string
}

// slipwayImage names Slipway's own image among the others.
const slipwayImage = deploy.Image

// compile builds Slipway and the shop twice: all services at the first
// version, and web at the second one.
func compile(ctx context.Context, dir string) error {
	if _, err := os.Stat("examples/shop"); err != nil {
		return fmt.Errorf("run the demo from the top of Slipway's repository: %w", err)
	}
	builds := []struct {
		out, ldflags string
		packages     []string
	}{
		{"slipway", "-s -w", []string{"./cmd/slipway"}},
		{firstVersion, "-s -w -X main.version=" + firstVersion, []string{"./examples/shop/cmd/..."}},
		{secondVersion, "-s -w -X main.version=" + secondVersion, []string{"./examples/shop/cmd/web"}},
	}
	for _, b := range builds {
		out := filepath.Join(dir, b.out)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return fmt.Errorf("make folder for binaries: %w", err)
		}
		args := append([]string{"build", "-trimpath", "-ldflags", b.ldflags, "-o", out + "/"}, b.packages...)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", b.packages[0], err, text)
		}
	}
	return nil
}

// push makes images of the binaries and brings them to the lab's registry.
func (i *images) push(ctx context.Context, registry string) error {
	i.first, i.second = map[string]string{}, map[string]string{}
	type job struct {
		binary, ref string
		digests     map[string]string
		key         string
		digest      string
	}
	jobs := []*job{
		{binary: "slipway/slipway", ref: slipwayImage + ":demo", digests: i.first, key: slipwayImage},
		{binary: secondVersion + "/web", ref: "shop/web:" + secondVersion, digests: i.second, key: "shop/web"},
	}
	for _, service := range shop.Services() {
		jobs = append(jobs, &job{binary: firstVersion + "/" + service, ref: "shop/" + service + ":" + firstVersion, digests: i.first, key: "shop/" + service})
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		group.Go(func() (err error) {
			j.digest, err = pushOne(ctx, registry, filepath.Join(i.dir, j.binary), j.ref)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, j := range jobs {
		j.digests[j.key] = j.digest
	}
	return nil
}

func pushOne(ctx context.Context, registry, binary, ref string) (string, error) {
	tag, err := image.ParseTag(ref)
	if err != nil {
		return "", err
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		return "", err
	}
	digest, err := image.Push(ctx, registry, tag, img)
	return digest.String(), err
}
