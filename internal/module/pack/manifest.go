package pack

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// ManifestFile is the file that makes a folder a package.
const ManifestFile = "package.yaml"

// APIVersion and Kind of a package.yaml.
const (
	APIVersion = "slipway.dev/v1alpha1"
	Kind       = "Package"
)

// maxManifest is the size of the largest package.yaml that is read, in bytes. Most of it is the schema of the values.
const maxManifest = 1 << 20

// Values are settings: what a person may set of a package.
type Values = map[string]any

// Manifest is what a package says of itself in its package.yaml.
type Manifest struct {
	// APIVersion is slipway.dev/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is Package.
	Kind string `json:"kind"`
	// Name by which other packages require it: lower-case letters, digits and hyphens, at most 63.
	Name string `json:"name"`
	// Version as semver.org has it, without a v before it.
	Version string `json:"version"`
	// Description in a sentence or two, for people. Default: none.
	Description string `json:"description,omitempty"`
	// Namespace for objects that don't say theirs, unless the Module says another. Default: the Module's name.
	Namespace string `json:"namespace,omitempty"`
	// KubeVersion is the range of Kubernetes' versions that it works with. Default: any.
	KubeVersion string `json:"kubeVersion,omitempty"`
	// Agent is the range of Slipway's versions that can install it. Default: any.
	Agent string `json:"agent,omitempty"`
	// Requires are packages that must be installed and healthy first. Default: none.
	Requires []Requirement `json:"requires,omitempty"`
	// Conflicts are packages that can't be installed beside it. Default: none.
	Conflicts []Requirement `json:"conflicts,omitempty"`
	// Permissions that its controllers need. What its roles allow must be in them. Default: what its roles allow.
	Permissions v1alpha1.Permissions `json:"permissions,omitzero"`
	// Schema is the JSON schema (2020-12, or what its $schema says) of the values. It may refer to itself only. Default: none.
	Schema map[string]any `json:"schema,omitempty"`
	// Values are the defaults of the settings. Those of a Module are laid over them; null takes one away. Default: none.
	Values Values `json:"values,omitempty"`
	// Substitute puts values into manifests/ where ${name} stands, as a Kustomization's postBuild does; the parts of a path are joined
	// with _, so that controller.replicas is ${controller_replicas}. Default: false, and $ means nothing, as it does in crds/ anyway.
	Substitute bool `json:"substitute,omitempty"`
	// Images that no object names but a controller starts; a Module's image rewrites hold for arguments and variables that are equal to one
	// of them, or end with = and one. Bundles take them along. Default: none.
	Images []string `json:"images,omitempty"`
	// Gate is the default of a Module's gate. Default: a Module's own defaults.
	Gate v1alpha1.Gate `json:"gate,omitzero"`
	// Rollback declares that an upgrade to this version can be taken back. Default: not declared, and then upgrades are not automatic.
	Rollback *Rollback `json:"rollback,omitempty"`
	// Published is when this version was published; minAge of Modules counts from then. Default: not known.
	Published *metav1.Time `json:"published,omitempty"`
}

// Requirement is another package in a range of versions.
type Requirement struct {
	// Name of the package.
	Name string `json:"name"`
	// Version is the range. Default: any.
	Version string `json:"version,omitempty"`
}

// Rollback is the author's word on going back.
type Rollback struct {
	// To is the range of versions to which one can go back from this one. Default: any.
	To string `json:"to,omitempty"`
	// Stateful says that this version stores data in a form that those before it can't read: then it can't be taken back. Default: false.
	Stateful bool `json:"stateful,omitempty"`
}

// ParseManifest reads a package.yaml, strictly: a field that a Manifest doesn't have, one that is there twice, and a value that can't be
// are errors, all of them at once, each an *[Invalid].
func ParseManifest(content []byte) (Manifest, error) {
	var m Manifest
	if len(content) > maxManifest {
		return m, invalid(ManifestFile, "", "it has %d bytes; %d are the limit", len(content), maxManifest)
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return m, invalid(ManifestFile, "", "it is no YAML: %v", err)
	}
	problems, err := kjson.UnmarshalStrict(asJSON, &m)
	if err != nil {
		return Manifest{}, invalid(ManifestFile, "", "it can't be read: %v", err)
	}
	all := make([]error, 0, len(problems))
	for _, problem := range problems {
		all = append(all, invalid(ManifestFile, "", "%v: remove it, or look at its spelling", problem))
	}
	if err := errors.Join(append(all, m.check()...)...); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Reversible says whether the author declares that an upgrade from a version to this one can be taken back; if not, why says so in a
// sentence for people.
func (m Manifest) Reversible(from string) (declared bool, why string) {
	switch {
	case m.Rollback == nil:
		return false, fmt.Sprintf("package %s %s doesn't declare that upgrades to it can be taken back (rollback in its %s)", m.Name, m.Version, ManifestFile)
	case m.Rollback.Stateful:
		return false, fmt.Sprintf("package %s %s stores data that versions before it can't read (rollback.stateful in its %s)", m.Name, m.Version, ManifestFile)
	case from != "" && !InRange(m.Rollback.To, from):
		return false, fmt.Sprintf("package %s %s can be taken back to %s only, not to %s", m.Name, m.Version, m.Rollback.To, from)
	}
	return true, ""
}
