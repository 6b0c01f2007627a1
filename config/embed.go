// Package config carries the manifests that are generated from Go code: the CRDs of the kinds that Slipway serves and the roles
// of its agent. How they are made is in config/generate; what they are applied with is in deploy.
package config

import "embed"

// FS holds the folders admission, crd and rbac, each a Kustomize root.
//
//go:embed admission/*.yaml crd/kustomization.yaml crd/bases/*.yaml rbac/*.yaml
var FS embed.FS
