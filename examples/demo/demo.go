package main

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab"
)

// The shop's versions in the demo's story.
const (
	firstVersion  = "1.0.0"
	secondVersion = "1.1.0"
)

// demo is the story and what its chapters hand on to each other.
type demo struct {
	*screen

	labName string
	lab     *lab.Lab
	config  *rest.Config
	client  client.WithWatch
	images  *images
	clone   *clone
}

func newDemo(labName string, s *screen) *demo { return &demo{screen: s, labName: labName} }

// play tells the story from the beginning, whatever an earlier run has left.
func (d *demo) play(ctx context.Context) error {
	d.say("Slipway: what is in Git runs in the cluster, and stays so.")
	for _, chapter := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"A real Kubernetes on this machine, and Slipway in it", d.ground},
		{"A Git repository with the shop's manifests", d.repository},
		{"From a commit to four services in staging", d.deliver},
		{"A change is pushed", d.change},
		{"Somebody meddles by hand", d.meddle},
		{"Something broken is pushed", d.breakIt},
	} {
		d.chapter(chapter.title)
		if err := chapter.tell(ctx); err != nil {
			return err
		}
	}
	d.goodbye()
	return nil
}

// connect opens the lab's API.
func (d *demo) connect() error {
	config, err := d.lab.Config()
	if err != nil {
		return fmt.Errorf("read the lab's kubeconfig: %w", err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register types: %w", err)
		}
	}
	d.config = config
	if d.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connect to the lab: %w", err)
	}
	return nil
}

// goodbye says where to look next.
func (d *demo) goodbye() {
	d.say("")
	d.say("%s in %s. The lab stays up; look around:", d.paint("1;32", "Everything held"), d.took())
	for _, hint := range []struct{ what, how string }{
		{"what is delivered", fmt.Sprintf("bin/slipway get all -n %s --lab %s", namespace, d.labName)},
		{"what belongs to it", fmt.Sprintf("bin/slipway tree kustomization shop -n %s --lab %s", namespace, d.labName)},
		{"where one object comes from", fmt.Sprintf("bin/slipway trace deployment web -n %s --lab %s", namespace, d.labName)},
		{"the shop in a browser", fmt.Sprintf("kubectl --kubeconfig %s -n %s port-forward svc/web 8080:80", d.lab.Kubeconfig(), namespace)},
		{"change it yourself", fmt.Sprintf("cd %s, edit, git commit -a, git push", d.clone.dir)},
		{"do it yourself, step by step", "docs/tutorial-first-delivery.md"},
		{"clean up", fmt.Sprintf("bin/slipway down --name %s", d.labName)},
	} {
		d.say("   %-29s %s", hint.what, d.paint("36", hint.how))
	}
}
