package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

const (
	// Namespace is where the agent runs.
	Namespace = "slipway-system"
	// Agent is the name of the agent's StatefulSet, of its service account and of its roles.
	Agent = "slipway-agent"
	// AgentContainer is the container in the agent's pods that does the work.
	AgentContainer = "agent"
	// Image is the name of Slipway's image in the manifests, without a tag.
	Image = "slipway.dev/slipway"
	// ClusterAdmin is the component that lets the agent apply anything.
	ClusterAdmin = "cluster-admin"
	// AnyModule is the component that lets the agent install any package.
	AnyModule = "modules"
	// AnyModuleRole is the role that it adds.
	AnyModuleRole = Agent + "-any-module"
	// Monitoring is the component with alerts and a dashboard. The cluster must know the kinds of the Prometheus operator.
	Monitoring = "monitoring"
)

// ErrUnknown says that there is no overlay or component of the wanted name.
var ErrUnknown = errors.New("unknown")

// AgentLabels select the agent's pods.
func AgentLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": Agent}
}

// Overlays names the environments there are manifests for, sorted.
func Overlays() []string { return folders("overlays") }

// Components names what may be added to an overlay, sorted.
func Components() []string { return folders("components") }

// Grants names the components that widen the agent's permissions, sorted.
func Grants() []string { return []string{ClusterAdmin, AnyModule} }

// Extras names the components that add something beside the agent, sorted.
func Extras() []string {
	return slices.DeleteFunc(Components(), func(name string) bool { return slices.Contains(Grants(), name) })
}

func folders(in string) []string {
	entries, err := FS.ReadDir(in)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Options say what to render.
type Options struct {
	// Overlay is one of Overlays. Required.
	Overlay string
	// Components are added to the overlay.
	Components []string
	// Image is the image that the agent runs, "name:tag" or "name@digest". Default: the one the manifests name.
	Image string
}

// Render builds the manifests, in the order in which they can be applied: namespaces and CRDs come first.
func Render(opts Options) ([]*unstructured.Unstructured, error) {
	root, err := rootFor(opts)
	if err != nil {
		return nil, err
	}
	disk := filesys.MakeFsInMemory()
	for folder, tree := range map[string]fs.FS{"/config": config.FS, "/deploy": FS} {
		if err := copyTree(disk, folder, tree); err != nil {
			return nil, err
		}
	}
	if err := disk.WriteFile("/install/kustomization.yaml", root); err != nil {
		return nil, fmt.Errorf("render overlay %q: %w", opts.Overlay, err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/install")
	if err != nil {
		return nil, fmt.Errorf("render overlay %q: %w", opts.Overlay, err)
	}
	var objs []*unstructured.Unstructured
	for _, resource := range built.Resources() {
		data, err := resource.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("render overlay %q: %w", opts.Overlay, err)
		}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("render overlay %q: %w", opts.Overlay, err)
		}
		objs = append(objs, obj)
	}
	slices.SortStableFunc(objs, func(a, b *unstructured.Unstructured) int { return cmp.Compare(rank(a), rank(b)) })
	return objs, nil
}

// rootFor writes the kustomization that ties an overlay, its components and the image together.
func rootFor(opts Options) ([]byte, error) {
	if !slices.Contains(Overlays(), opts.Overlay) {
		return nil, fmt.Errorf("%w overlay %q: use one of %s", ErrUnknown, opts.Overlay, strings.Join(Overlays(), ", "))
	}
	root := types.Kustomization{Resources: []string{path.Join("../deploy/overlays", opts.Overlay)}}
	for _, name := range opts.Components {
		if !slices.Contains(Components(), name) {
			return nil, fmt.Errorf("%w component %q: use one of %s", ErrUnknown, name, strings.Join(Components(), ", "))
		}
		root.Components = append(root.Components, path.Join("../deploy/components", name))
	}
	if opts.Image != "" {
		root.Images = []types.Image{imageFor(opts.Image)}
	}
	data, err := yaml.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("render overlay %q: %w", opts.Overlay, err)
	}
	return data, nil
}

// imageFor replaces the manifests' image. A colon before the last slash belongs to the registry's port.
func imageFor(ref string) types.Image {
	if name, digest, ok := strings.Cut(ref, "@"); ok {
		return types.Image{Name: Image, NewName: name, Digest: digest}
	}
	name, tag := ref, ""
	if colon := strings.LastIndex(ref, ":"); colon > strings.LastIndex(ref, "/") {
		name, tag = ref[:colon], ref[colon+1:]
	}
	return types.Image{Name: Image, NewName: name, NewTag: cmp.Or(tag, "latest")}
}

func copyTree(to filesys.FileSystem, folder string, from fs.FS) error {
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return fmt.Errorf("read embedded manifest %s: %w", name, err)
		}
		return to.WriteFile(path.Join(folder, name), data)
	})
}

// rank orders objects by what must be there before what.
func rank(obj *unstructured.Unstructured) int {
	switch obj.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ServiceAccount", "ClusterRole", "Role":
		return 2
	case "ClusterRoleBinding", "RoleBinding", "ConfigMap", "Service", "NetworkPolicy":
		return 3
	default:
		return 4
	}
}
