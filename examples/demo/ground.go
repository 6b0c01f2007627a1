package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-dev/slipway/internal/cli"
	"github.com/slipway-dev/slipway/internal/lab"
)

// ground brings up the cluster with Slipway in it. What doesn't need each
// other happens at the same time.
func (d *demo) ground(ctx context.Context) error {
	d.images = &images{dir: filepath.Join("bin", "demo")}

	d.command("bin/slipway up --bare --nodes real --name %s", d.labName)
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error { return compile(together, d.images.dir) })
	group.Go(func() (err error) {
		d.lab, err = lab.Up(together, lab.Options{Name: d.labName, Nodes: lab.Real, Progress: lab.NewProgress(d.out, d.live)})
		return err
	})
	err := d.step("Kubernetes is up; the shop's services and Slipway are built", group.Wait)
	if err != nil {
		return err
	}
	d.held("Kubernetes %s, API server at %s", d.lab.Version(), d.lab.Gateway())
	if err := d.connect(); err != nil {
		return err
	}
	err = d.step("six images, made without Docker, are in the lab's registry", func() error {
		return d.images.push(ctx, d.lab.Registry())
	})
	if err != nil {
		return err
	}
	image := slipwayImage + "@" + d.images.first[slipwayImage]
	d.command("bin/slipway install --overlay dev --lab %s", d.labName)
	return d.step("Slipway runs in the cluster as a pod, with narrow rights", func() error {
		return d.slipway(ctx, "install", "--overlay", "dev", "--image", image, "--kubeconfig", d.lab.Kubeconfig())
	})
}

// slipway runs one command of the CLI, in this process.
func (d *demo) slipway(ctx context.Context, args ...string) error {
	var out, errs bytes.Buffer
	streams := cli.Streams{In: bytes.NewReader(nil), Out: &out, Err: &errs}
	if code := cli.Run(ctx, streams, args); code != cli.ExitDone {
		return errors.New(string(bytes.TrimSpace(append(out.Bytes(), errs.Bytes()...))))
	}
	return nil
}

// folder of the demo's own things in the lab: the next `slipway down` removes
// it with everything else.
func (d *demo) folder(name string) string { return filepath.Join(d.lab.Dir(), "demo", name) }
