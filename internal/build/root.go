package build

import (
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// prepareRoot makes sure that there is a kustomization file in dir and that it has the
// spec's overlays. What it writes, it writes into the view's overlay.
func (v *view) prepareRoot(dir string, spec kustomizev1.KustomizationSpec) error {
	name, err := v.kustomizationIn(dir)
	if err != nil {
		return err
	}
	var k types.Kustomization
	switch {
	case name == "":
		name = konfig.DefaultKustomizationFileName()
		if k, err = v.generate(dir); err != nil {
			return err
		}
	default:
		if k, err = v.loadRoot(path.Join(dir, name)); err != nil {
			return err
		}
		if hasOrigins(&k) {
			k.BuildMetadata = []string{types.OriginAnnotations}
		} else if !changesRoot(spec) {
			return nil
		}
	}
	if err := v.overlayRoot(&k, dir, spec); err != nil {
		return err
	}
	content, err := yaml.Marshal(k)
	if err != nil {
		return fmt.Errorf("write kustomization: %w", err)
	}
	v.overlay[path.Join(dir, name)] = content
	return nil
}

// hasOrigins says whether Flux annotates the objects of a kustomization with where
// they come from, although nobody asked: it does so where no resources are listed,
// because Kustomize takes a file with nothing but that for not empty. The same is done
// here, so that objects don't change when they change hands. A file that is empty
// stays so: Kustomize's refusal keeps everything from being pruned.
func hasOrigins(k *types.Kustomization) bool {
	rest := *k
	rest.TypeMeta, rest.MetaData = types.TypeMeta{}, nil
	return len(k.Resources) == 0 && !reflect.ValueOf(rest).IsZero()
}

// kustomizationIn gives the name of the kustomization file in dir, or "".
func (v *view) kustomizationIn(dir string) (string, error) {
	found := ""
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		_, e, err := v.resolve(path.Join(dir, name))
		switch {
		case err != nil:
			return "", err
		case e.kind != kindFile:
			continue
		case found != "":
			return "", &Error{Reason: ReasonBuildFailed, File: path.Join(dir, name), Message: fmt.Sprintf(
				"there is also %s in this folder, and Kustomize takes only one; keep one of them", found)}
		}
		found = name
	}
	return found, nil
}

func (v *view) loadRoot(name string) (types.Kustomization, error) {
	var k types.Kustomization
	file, e, err := v.resolve(name)
	if err != nil {
		return k, err
	}
	content, err := v.read(file, e)
	if err != nil {
		return k, err
	}
	if err := k.Unmarshal(content); err != nil {
		return k, malformedKustomization(file, content, err)
	}
	if k.APIVersion == "" && k.Kind == "" {
		k.TypeMeta = types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}
	}
	return k, nil
}

// changesRoot says whether spec has overlays that go into the kustomization file.
func changesRoot(s kustomizev1.KustomizationSpec) bool {
	return s.TargetNamespace != "" || s.NamePrefix != "" || s.NameSuffix != "" ||
		len(s.Patches)+len(s.Images)+len(s.Components)+len(s.BuildMetadata) > 0
}

func (v *view) overlayRoot(k *types.Kustomization, dir string, spec kustomizev1.KustomizationSpec) error {
	if spec.TargetNamespace != "" {
		k.Namespace = spec.TargetNamespace
	}
	if spec.NamePrefix != "" {
		k.NamePrefix = spec.NamePrefix
	}
	if spec.NameSuffix != "" {
		k.NameSuffix = spec.NameSuffix
	}
	for _, p := range spec.Patches {
		patch := types.Patch{Patch: p.Patch}
		if t := p.Target; t != nil {
			s := &types.Selector{LabelSelector: t.LabelSelector, AnnotationSelector: t.AnnotationSelector}
			s.Group, s.Version, s.Kind, s.Name, s.Namespace = t.Group, t.Version, t.Kind, t.Name, t.Namespace
			patch.Target = s
		}
		k.Patches = append(k.Patches, patch)
	}
	for _, i := range spec.Images {
		image := types.Image{Name: i.Name, NewName: i.NewName, NewTag: i.NewTag, Digest: i.Digest}
		at := slices.IndexFunc(k.Images, func(have types.Image) bool { return have.Name == i.Name })
		if at >= 0 {
			k.Images[at] = image
		} else {
			k.Images = append(k.Images, image)
		}
	}
	if len(spec.BuildMetadata) > 0 { // they replace the kustomization's own
		k.BuildMetadata = nil
		for _, m := range spec.BuildMetadata {
			k.BuildMetadata = append(k.BuildMetadata, string(m))
		}
	}
	return v.overlayComponents(k, dir, spec)
}

func (v *view) overlayComponents(k *types.Kustomization, dir string, spec kustomizev1.KustomizationSpec) error {
	for _, c := range spec.Components {
		if path.IsAbs(c) || isRemote(c) {
			return &Error{Reason: ReasonUnsupported, Message: fmt.Sprintf(
				"spec.components: %q must be a path inside the source, relative to spec.path", c)}
		}
		full, ok := relative(path.Join(absolute(dir), c))
		if !ok {
			return v.escapes(c)
		}
		_, e, err := v.resolve(full)
		if err != nil {
			return err
		}
		if e.kind == kindDir {
			k.Components = append(k.Components, c)
			continue
		}
		if !spec.IgnoreMissingComponents {
			return &Error{Reason: ReasonBuildFailed, Message: fmt.Sprintf("spec.components: there is no folder %s in the source; "+
				"correct the path, or set spec.ignoreMissingComponents", full)}
		}
	}
	return nil
}

// generate makes a kustomization of all manifests below dir, as Flux does.
func (v *view) generate(dir string) (types.Kustomization, error) {
	k := types.Kustomization{
		TypeMeta: types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
	}
	if err := v.scan(dir, ".", &k.Resources); err != nil {
		return k, err
	}
	if len(k.Resources) == 0 {
		return k, &Error{Reason: ReasonBuildFailed, Message: fmt.Sprintf(
			"there are no manifests in %s: no kustomization file and no *.yaml or *.yml file; add them, or correct spec.path", dir)}
	}
	return k, nil
}

// scan collects, in the order of a walk, the manifests in the folder at below (from
// root); a folder with a kustomization of its own stands for all that is in it.
func (v *view) scan(root, below string, found *[]string) error {
	if err := v.ctx.Err(); err != nil {
		return fmt.Errorf("search %s: %w", path.Join(root, below), err)
	}
	dir := path.Join(root, below)
	entries, err := fs.ReadDir(v.files, dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	if v.entries += len(entries); v.entries > v.limits.Files {
		return tooLarge(dir, "there are more than %d files to search; add a kustomization.yaml that names the manifests", v.limits.Files)
	}
	v.seen[dir].listed, v.seen[dir].list = true, listing(entries)
	for _, e := range entries {
		name := path.Join(below, e.Name())
		switch {
		case e.IsDir():
			if err := v.scanFolder(root, name, found); err != nil {
				return err
			}
		case isManifest(e.Name()):
			*found = append(*found, "./"+name)
		}
	}
	return nil
}

func (v *view) scanFolder(root, name string, found *[]string) error {
	dir := path.Join(root, name)
	if _, err := v.lstat(dir); err != nil {
		return err
	}
	base, err := v.kustomizationIn(dir)
	if err != nil {
		return err
	}
	if base != "" {
		*found = append(*found, "./"+name)
		return nil
	}
	return v.scan(root, name, found)
}

func isManifest(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// listing is what matters of a folder's content to scan.
func listing(entries []fs.DirEntry) string {
	var b strings.Builder
	for _, e := range entries {
		if e.IsDir() || isManifest(e.Name()) {
			fmt.Fprintf(&b, "%s/%s\n", e.Name(), e.Type())
		}
	}
	return b.String()
}
