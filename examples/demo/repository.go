package main

import (
	"context"
	"fmt"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/slipway-dev/slipway/examples/shop"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

const (
	overlayPath = "deploy/overlays/staging"
	overlayFile = overlayPath + "/kustomization.yaml"

	firstGreeting  = "Everything a small ship needs."
	secondGreeting = "New in the harbour: everything a small ship needs, and some more."
)

const readme = `# Harbour & Hull

The manifests of a shop for ship's supplies. deploy/overlays has one folder for
each environment; Slipway keeps staging at what is on the main branch.
`

// repository starts the Git server and pushes the shop's manifests to it, with
// the images that were just built.
func (d *demo) repository(ctx context.Context) error {
	if err := d.step("a Git server, on an address that this machine and the pods reach", func() error { return d.startGit(ctx) }); err != nil {
		return err
	}
	d.command("git clone %s && cd shop && git push", d.gitURL())
	return d.step("the shop's manifests are pushed: a base, and an overlay each for dev, staging and prod", func() (err error) {
		if d.clone, err = openClone(ctx, d.folder("shop"), d.gitURL()); err != nil {
			return err
		}
		files, err := d.manifests()
		if err != nil {
			return err
		}
		if err := d.clone.replace(files); err != nil {
			return err
		}
		_, err = d.clone.push(ctx, "Harbour & Hull "+firstVersion)
		return err
	})
}

// manifests are the shop's, with the images of staging pinned to what is in
// the lab's registry.
func (d *demo) manifests() (map[string]string, error) {
	dir, err := shop.Deploy()
	if err != nil {
		return nil, err
	}
	files, err := gitserver.Files(dir, "deploy")
	if err != nil {
		return nil, err
	}
	files["README.md"] = readme
	for _, service := range shop.Services() {
		name := "shop/" + service
		if files[overlayFile], err = setImage(files[overlayFile], name, firstVersion, d.images.first[name]); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// setImage sets an image's tag and digest in a kustomization.yaml, as
// `kustomize edit set image` does. Comments and order stay.
func setImage(text, name, tag, digest string) (string, error) {
	doc, err := yaml.Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse kustomization.yaml: %w", err)
	}
	entry, err := doc.Pipe(yaml.Lookup("images", "[name="+name+"]"))
	if err != nil {
		return "", fmt.Errorf("find image %s: %w", name, err)
	}
	if entry == nil {
		return "", fmt.Errorf("kustomization.yaml has no image %s", name)
	}
	for field, value := range map[string]string{"newTag": tag, "digest": digest} {
		if err := entry.PipeE(yaml.SetField(field, yaml.NewStringRNode(value))); err != nil {
			return "", fmt.Errorf("set %s of image %s: %w", field, name, err)
		}
	}
	return doc.String()
}

// setLiteral sets the only literal of a ConfigMap that a kustomization.yaml
// generates on top of its base's, and adds the generator when there is none.
func setLiteral(text, configMap, literal string) (string, error) {
	doc, err := yaml.Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse kustomization.yaml: %w", err)
	}
	entry, err := doc.Pipe(yaml.LookupCreate(yaml.MappingNode, "configMapGenerator", "[name="+configMap+"]"))
	if err != nil {
		return "", fmt.Errorf("find ConfigMap %s: %w", configMap, err)
	}
	err = entry.PipeE(
		yaml.Tee(yaml.SetField("behavior", yaml.NewStringRNode("merge"))),
		yaml.SetField("literals", yaml.NewListRNode(literal)),
	)
	if err != nil {
		return "", fmt.Errorf("set literal of ConfigMap %s: %w", configMap, err)
	}
	return doc.String()
}
