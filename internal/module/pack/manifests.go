package pack

import (
	"context"
	"maps"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/build"
)

// manifests builds a folder of plain manifests, or a Kustomize folder.
func (p *Package) manifests(ctx context.Context, dir string, values Values) ([]*unstructured.Unstructured, error) {
	in := build.Input{Tree: build.TreeOf(p.files), Path: dir}
	if p.Manifest.Substitute {
		vars, err := variables(values)
		if err != nil {
			return nil, err
		}
		in.Vars = vars
		in.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: maps.Clone(vars)}
	}
	result, err := build.New().Build(ctx, in)
	if err != nil {
		return nil, err
	}
	return result.Objects, nil
}
