package main

import (
	"context"
	"fmt"
	"maps"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/lab/await"
)

// broken is a manifest as it leaves the hands of somebody in a hurry.
const broken = `apiVersion: v1
kind: Service
metadata:
  name: cart
 spec:
  ports: [{name: http, port: 80
`

// breakIt pushes a broken manifest, checks that it takes nothing down and that
// Slipway says what to do, and then reverts it.
func (d *demo) breakIt(ctx context.Context) error {
	before, err := d.pods(ctx)
	if err != nil {
		return err
	}
	if err := d.clone.write("deploy/base/cart.yaml", broken); err != nil {
		return err
	}
	d.command("git commit -am 'Quick fix' && git push")
	if _, err := d.clone.push(ctx, "Quick fix"); err != nil {
		return err
	}
	var words string
	err = d.step("Slipway refuses the commit, and says why", func() (err error) {
		words, err = d.refusal(ctx)
		return err
	})
	if err != nil {
		return err
	}
	d.quote(words)
	after, err := d.pods(ctx)
	if err != nil {
		return err
	}
	if !maps.Equal(before, after) {
		return fmt.Errorf("a broken commit changed what runs: the pods were %v and are %v", before, after)
	}
	d.held("the same %d pods run as before", len(after))
	if err := d.shop(ctx, secondVersion, secondGreeting); err != nil {
		return err
	}
	d.command("git revert HEAD && git push")
	revision, err := d.clone.revert(ctx)
	if err != nil {
		return err
	}
	return d.step("Ready again", func() error { return d.ready(ctx, revision) })
}

// refusal waits until the Kustomization isn't Ready for a reason that names
// the broken file, and returns what it says.
func (d *demo) refusal(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var words string
	failed := await.Failed("BuildFailed", "cart.yaml")
	err := await.Object(ctx, d.client, key("Kustomization", "shop"), func(obj *unstructured.Unstructured) string {
		missing := failed(obj)
		if missing == "" {
			ready := apimeta.FindStatusCondition(await.Conditions(obj), "Ready")
			words = ready.Reason + ": " + ready.Message
		}
		return missing
	})
	return words, err
}
