package probe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// Promise is what an agent of this version is installed with.
type Promise struct {
	// Cluster and Own are the rules of its roles: everywhere, and in its own namespace.
	Cluster, Own []rbacv1.PolicyRule
	// Kinds are those that it serves.
	Kinds []Kind
}

// Kind is one whose objects are listed.
type Kind struct {
	schema.GroupVersionResource
	// Name of the definition.
	Name string
	// Needed: without it the agent doesn't run; other kinds are served where they are installed.
	Needed bool
}

// Carried is the promise of this binary, from the manifests that it carries. needed are the kinds without which it doesn't run.
func Carried(needed ...schema.GroupVersionKind) (Promise, error) {
	var p Promise
	roles, err := config.FS.ReadFile("rbac/role.yaml")
	if err != nil {
		return p, fmt.Errorf("read the agent's roles: %w", err)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(roles)))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, fmt.Errorf("read the agent's roles: %w", err)
		}
		var role rbacv1.ClusterRole // a Role has the same rules
		if err := yaml.Unmarshal(text, &role); err != nil {
			return p, fmt.Errorf("read the agent's roles: %w", err)
		}
		if role.Kind == "Role" {
			p.Own = append(p.Own, role.Rules...)
		} else {
			p.Cluster = append(p.Cluster, role.Rules...)
		}
	}
	p.Kinds, err = kinds(needed)
	return p, err
}

// inOwn says whether objects of a kind are looked at in the agent's own namespace only.
func (p Promise) inOwn(k Kind) bool {
	return slices.ContainsFunc(p.Own, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.APIGroups, k.Group) && slices.Contains(r.Resources, k.Resource)
	})
}

func kinds(needed []schema.GroupVersionKind) ([]Kind, error) {
	text, err := config.FS.ReadFile("crd/kustomization.yaml")
	if err != nil {
		return nil, fmt.Errorf("read the agent's definitions: %w", err)
	}
	var list types.Kustomization
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read the agent's definitions: %w", err)
	}
	isNeeded := map[schema.GroupKind]bool{}
	for _, gvk := range needed {
		isNeeded[gvk.GroupKind()] = true
	}
	var all []Kind
	for _, file := range list.Resources {
		text, err := config.FS.ReadFile(path.Join("crd", file))
		if err != nil {
			return nil, fmt.Errorf("read the agent's definitions: %w", err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, v := range crd.Spec.Versions {
			if v.Storage {
				all = append(all, Kind{
					GroupVersionResource: schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural},
					Name:                 crd.Name, Needed: isNeeded[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}],
				})
			}
		}
	}
	return all, nil
}
