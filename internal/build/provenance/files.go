package provenance

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/slipway-dev/slipway/internal/build"
)

// file is one that a build has read.
type file struct {
	name    string
	content []byte
	setting Setting
	depth   int // how many kustomizations are above its own; the deeper, the earlier it takes effect
}

// filesRead lists what a build has read, with the part that each file has in it.
func filesRead(tree fs.FS, reads build.Reads, root string) []file {
	byName := map[string]*file{}
	for _, name := range reads.Paths() {
		info, err := fs.Lstat(tree, name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			continue // the build has read it; if it can't be read now, nothing can be said of it
		}
		byName[name] = &file{name: name, content: content, setting: SettingManifest, depth: -1}
	}
	c := classifier{byName, map[string]bool{}}
	c.kustomization(clean(root), 0)
	files := make([]file, 0, len(byName))
	for _, f := range byName {
		files = append(files, *f)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files
}

func clean(dir string) string { return path.Clean("./" + strings.TrimLeft(dir, "/")) }

// classifier walks kustomizations from the root down.
type classifier struct {
	files map[string]*file
	seen  map[string]bool
}

func (c classifier) kustomization(dir string, depth int) {
	if c.seen[dir] {
		return
	}
	c.seen[dir] = true
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		f := c.files[path.Join(dir, base)]
		if f == nil {
			continue
		}
		f.setting, f.depth = SettingKustomization, depth
		var k types.Kustomization
		if err := k.Unmarshal(f.content); err != nil {
			return
		}
		k.FixKustomization()
		c.named(dir, &k, depth)
		return
	}
}

func (c classifier) named(dir string, k *types.Kustomization, depth int) {
	note := func(name string, setting Setting) {
		if f := c.files[path.Join(dir, name)]; name != "" && f != nil && f.setting != SettingKustomization {
			f.setting, f.depth = setting, max(f.depth, depth)
		}
	}
	for _, r := range append(slices.Clone(k.Resources), k.Components...) {
		note(r, SettingManifest)
		c.kustomization(path.Join(dir, r), depth+1)
	}
	for _, p := range k.Patches {
		note(p.Path, SettingPatch)
	}
	for _, p := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and in use
		note(string(p), SettingPatch)
	}
	for _, p := range k.PatchesJson6902 { //nolint:staticcheck // deprecated, and in use
		note(p.Path, SettingPatch)
	}
	var generated []types.KvPairSources
	for _, g := range k.ConfigMapGenerator {
		generated = append(generated, g.KvPairSources)
	}
	for _, g := range k.SecretGenerator {
		generated = append(generated, g.KvPairSources)
	}
	for _, g := range generated {
		for _, f := range g.FileSources {
			note(f[strings.LastIndex(f, "=")+1:], SettingGenerator)
		}
		for _, f := range append(slices.Clone(g.EnvSources), g.EnvSource) {
			note(f, SettingGenerator)
		}
	}
	for _, r := range k.Replacements {
		note(r.Path, SettingGenerator)
	}
	for _, p := range slices.Concat(k.Generators, k.Transformers, k.Configurations) {
		note(p, SettingGenerator)
	}
}
