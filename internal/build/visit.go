package build

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// visit looks at a kustomization file before Kustomize does. Kustomize itself would
// fetch remote bases with git and files over HTTP; it cannot be told not to, so what
// would make it do so is refused here. In passing, missing files are named with the
// line that asks for them, which Kustomize does not do.
func (v *view) visit(file, dir string, content []byte) error {
	if v.kustomizations++; v.kustomizations > v.limits.Kustomizations {
		return tooLarge(file, "the build visits more than %d kustomizations; bases that include each other many times over "+
			"grow quickly: include each base once", v.limits.Kustomizations)
	}
	v.lastKustomization = file
	var k types.Kustomization
	if err := k.Unmarshal(content); err != nil {
		return nil //nolint:nilerr // Kustomize stops at this, too, and explain tells why
	}
	k.FixKustomization()
	if len(k.OpenAPI) > 0 && !v.schemaIsOurs {
		return errOwnSchema
	}
	i := inspection{v: v, file: file, dir: dir}
	return i.kustomization(&k)
}

// inspection is the check of one kustomization file.
type inspection struct {
	v         *view
	file, dir string
}

func (i inspection) kustomization(k *types.Kustomization) error {
	if len(k.HelmCharts) > 0 || k.HelmGlobals != nil {
		return i.refuse("helm", "Helm charts in a kustomization need the helm program, which a build does not run; "+
			"commit the rendered chart, or use a HelmRelease")
	}
	steps := []func(*types.Kustomization) error{i.bases, i.files, i.generated, i.plugins, i.inline}
	for _, step := range steps {
		if err := step(k); err != nil {
			return err
		}
	}
	return nil
}

// bases checks what may be a folder.
func (i inspection) bases(k *types.Kustomization) error {
	for _, r := range k.Resources {
		if isRemote(r) {
			return i.remote("resources", r)
		}
		actual, e, err := i.resolve("resources", r)
		if err != nil {
			return err
		}
		switch e.kind {
		case kindAbsent:
			return i.missing("resources", r)
		case kindFile:
			if err := i.manifest(actual, e); err != nil {
				return err
			}
		case kindDir:
			if err := i.mustBeBase("resources", r, actual); err != nil {
				return err
			}
		}
	}
	for _, c := range k.Components {
		if isRemote(c) {
			return i.remote("components", c)
		}
		actual, e, err := i.resolve("components", c)
		if err != nil {
			return err
		}
		if e.kind != kindDir {
			return i.missing("components", c)
		}
		if err := i.mustBeBase("components", c, actual); err != nil {
			return err
		}
	}
	return nil
}

// manifest notes a file of manifests, and counts its objects.
func (i inspection) manifest(file string, e *entry) error {
	content, err := i.v.read(file, e)
	if err != nil {
		return err
	}
	i.v.manifests = append(i.v.manifests, file)
	if err := i.v.decryptManifests(file, content); err != nil {
		return err
	}
	return i.v.count(countObjects(i.v.shown(file)))
}

// count adds up the objects that Kustomize will get.
func (v *view) count(objects int) error {
	if v.objectCount += objects; v.objectCount > v.limits.Objects {
		return tooLarge("", "the build has more than %d objects; split it into several Kustomizations", v.limits.Objects)
	}
	return nil
}

func (i inspection) mustBeBase(field, written, actual string) error {
	name, err := i.v.kustomizationIn(actual)
	if err != nil || name != "" {
		return err
	}
	return i.refuseAs(ReasonBuildFailed, written, fmt.Sprintf(
		"%s: the folder %s has no kustomization.yaml; add one, or name its files one by one", field, written))
}

// files checks what must be a file.
func (i inspection) files(k *types.Kustomization) error {
	var named []string
	add := func(p string) {
		if p != "" {
			named = append(named, p)
		}
	}
	for _, p := range k.Patches {
		add(p.Path)
	}
	for _, p := range k.PatchesJson6902 { //nolint:staticcheck // deprecated, and in use
		add(p.Path)
	}
	for _, p := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and in use
		if isPath(string(p)) {
			add(string(p))
		}
	}
	patches := len(named)
	for _, r := range k.Replacements {
		add(r.Path)
	}
	named = append(named, k.Crds...)
	named = append(named, k.Configurations...)
	add(k.OpenAPI["path"])
	for at, p := range named {
		if err := i.mustBeFile("", p); err != nil {
			return err
		}
		if at >= patches {
			continue
		}
		if err := i.patch(p); err != nil {
			return err
		}
	}
	return nil
}

// patch opens an encrypted patch.
func (i inspection) patch(written string) error {
	if i.v.decryption == nil {
		return nil
	}
	file, e, err := i.resolve("", written)
	if err != nil {
		return err
	}
	content, err := i.v.read(file, e)
	if err != nil {
		return err
	}
	return i.v.decryptManifests(file, content)
}

// generated checks the files of generators, and notes the literals of Secrets.
func (i inspection) generated(k *types.Kustomization) error {
	sources := func(field string, s types.KvPairSources) error {
		for _, f := range s.FileSources {
			if at := strings.LastIndex(f, "="); at >= 0 {
				f = f[at+1:]
			}
			if err := i.mustBeFile(field, f); err != nil {
				return err
			}
		}
		for _, f := range append(s.EnvSources, s.EnvSource) {
			if f == "" {
				continue
			}
			if err := i.mustBeFile(field, f); err != nil {
				return err
			}
		}
		return nil
	}
	if err := i.v.count(len(k.ConfigMapGenerator) + len(k.SecretGenerator)); err != nil {
		return err
	}
	for _, g := range k.ConfigMapGenerator {
		if err := sources("configMapGenerator", g.KvPairSources); err != nil {
			return err
		}
	}
	for _, g := range k.SecretGenerator {
		for _, l := range g.LiteralSources {
			_, value, _ := strings.Cut(l, "=")
			i.v.secrets = append(i.v.secrets, l, value)
		}
		if err := sources("secretGenerator", g.KvPairSources); err != nil {
			return err
		}
		if err := i.decryptSources(g.KvPairSources); err != nil {
			return err
		}
	}
	return nil
}

// inline checks the texts that Kustomize parses as YAML of their own.
func (i inspection) inline(k *types.Kustomization) error {
	var texts []string
	for _, p := range k.Patches {
		texts = append(texts, p.Patch)
	}
	for _, p := range k.PatchesJson6902 { //nolint:staticcheck // deprecated, and in use
		texts = append(texts, p.Patch)
	}
	for _, p := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and in use
		texts = append(texts, string(p))
	}
	texts = append(texts, k.Generators...)
	texts = append(texts, k.Transformers...)
	texts = append(texts, k.Validators...)
	for _, t := range texts {
		if err := i.v.checkShape(i.file, []byte(t)); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) mustBeFile(field, written string) error {
	if isURL(written) {
		return i.remote(field, written)
	}
	_, e, err := i.resolve(field, written)
	if err != nil {
		return err
	}
	if e.kind != kindFile {
		return i.missing(field, written)
	}
	return nil
}

// resolve finds a path that is written relative to the kustomization.
func (i inspection) resolve(field, written string) (string, *entry, error) {
	full := path.Join(absolute(i.dir), written)
	if path.IsAbs(written) {
		full = path.Clean(written)
	}
	if _, ok := relative(full); ok {
		return i.v.locate(full)
	}
	return "", nil, i.refuseAs(ReasonBuildFailed, written, prefixed(field, fmt.Sprintf(
		"%s leads out of the source; a build may only read what is inside it: copy the files in", written)))
}

func (i inspection) missing(field, written string) error {
	full, _ := relative(path.Join(absolute(i.dir), written))
	return i.refuseAs(ReasonBuildFailed, written, prefixed(field, fmt.Sprintf(
		"%s does not exist (%s in the source); add it, or correct the path", written, full)))
}

func (i inspection) remote(field, written string) error {
	return i.refuse(written, prefixed(field, fmt.Sprintf("%s is remote, and a build reads nothing but its source; "+
		"copy it into the repository (vendor it), or make it a source of its own", withoutUserinfo(written))))
}

func prefixed(field, text string) string {
	if field == "" {
		return text
	}
	return field + ": " + text
}

func (i inspection) refuse(written, message string) error {
	return i.refuseAs(ReasonUnsupported, written, message)
}

// refuseAs makes an error at the line of the file where written is first found.
func (i inspection) refuseAs(reason, written, message string) error {
	original, isInTree := i.v.contents[i.file]
	if !isInTree {
		return &Error{Reason: reason, Message: message} // a file that nobody has written helps nobody
	}
	e := &Error{Reason: reason, File: i.file, Message: message}
	if written != "" {
		e.Line = lineOf(original, written)
	}
	return e
}
