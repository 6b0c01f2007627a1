package provenance

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/build"
)

// byLines answers what the lines of nodes tell. A line counts where the file has the field's value there.
func (t *tracer) byLines(questions []*question) error {
	tree := overlay{FS: t.in.Tree.FS()}
	written := inventoryOf(t.files)
	for _, strip := range []bool{false, true} {
		open := slices.ContainsFunc(questions, func(q *question) bool { return q.found && q.lined == nil })
		if !open {
			return nil
		}
		in, files := t.in, t.files
		if strip { // a JSON patch makes a new object, without lines: look at what it would be without
			var changed bool
			if tree, files, changed = withoutJSONPatches(tree, files); !changed && !stripSpec(&in.Spec) {
				return nil
			}
			stripSpec(&in.Spec)
		}
		padded, marks := pad(tree, files, t.object.GetKind())
		in.Tree = padded.tree()
		b, err := t.build(in)
		if err != nil {
			if ctxErr := t.ctx.Err(); ctxErr != nil {
				return ctxErr
			}
			continue // the padded tree should build, and without some patch it need not: there are the experiments
		}
		i, ok := t.find(b)
		if !ok {
			continue
		}
		for _, q := range questions {
			if q.found && q.lined == nil {
				q.line(b.objects[i], marks, written)
			}
		}
	}
	return nil
}

func (q *question) line(s snapshot, marks markers, written inventory) {
	_, value, ok := Resolve(s.fields, q.path)
	if !ok || text(value) != q.value {
		return
	}
	node := nodeAt(s.node, q.path)
	if node == nil {
		return
	}
	// A transformer may have put another value into the node and left its line.
	if place, ok := marks.place(node.Line); ok && written.has(place, node) {
		place.Field = q.path
		q.lined = &place
	}
}

// find finds the object in another build: in its place, if that has as many objects, of the same kind.
func (t *tracer) find(b built) (int, bool) {
	if len(b.objects) != t.count {
		return 0, false
	}
	_, before, _ := Resolve(t.rendered, Path{"kind"})
	_, after, _ := Resolve(b.objects[t.at].fields, Path{"kind"})
	return t.at, before == after
}

// byExperiment changes what may have set the fields that are still open, one at a time, and looks which of them change.
func (t *tracer) byExperiment(questions []*question) error {
	var open []*question
	for _, q := range questions {
		if q.found && q.lined == nil {
			open = append(open, q)
		}
	}
	if len(open) == 0 {
		return nil
	}
	for _, c := range t.candidates() {
		var asked []*question
		for _, q := range open {
			if c.concerns(q.value) {
				asked = append(asked, q)
			}
		}
		if len(asked) == 0 {
			continue
		}
		if t.builds >= maxBuilds || time.Now().After(t.deadline) {
			return nil
		}
		in, err := c.input(t.in)
		if err != nil {
			continue // a text that can't be written again can't be experimented with
		}
		b, err := t.build(in)
		if err != nil {
			if ctxErr := t.ctx.Err(); ctxErr != nil {
				return ctxErr
			}
			continue // a name that a patch looks for, perhaps: it decides nothing that can be seen
		}
		i, ok := t.find(b)
		if !ok {
			continue
		}
		for _, q := range asked {
			// An element that isn't there under its name any more says nothing: the experiment has renamed it.
			if _, value, ok := Follow(t.rendered, q.path, b.objects[i].fields); ok && text(value) != q.value {
				q.places = append(q.places, ranked{c.place, c.rank(q)})
			}
		}
	}
	return nil
}

// candidate is a value that may have set a field.
type candidate struct {
	scalar
	depth int
	input func(build.Input) (build.Input, error)
}

// candidates lists every value in the source and in the Kustomization, those first that are likely.
func (t *tracer) candidates() []candidate {
	found := specCandidates(t.in.Spec)
	for _, f := range t.files {
		at := Place{Setting: f.setting, File: f.name}
		values := scalarsOf(f.content, at)
		if f.setting == SettingGenerator {
			values = append(values, linesOf(f.content, at)...)
		}
		for _, s := range values {
			found = append(found, candidate{s, f.depth, func(in build.Input) (build.Input, error) {
				content, err := s.rewrite(other(s.text))
				in.Tree = overlay{FS: in.Tree.FS()}.with(f.name, content).tree()
				return in, err
			}})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.place.Setting.order() - a.place.Setting.order() })
	return found
}

// specCandidates lists the values in the Kustomization that Kustomize gets.
func specCandidates(spec kustomizev1.KustomizationSpec) []candidate {
	relevant := kustomizev1.KustomizationSpec{
		TargetNamespace: spec.TargetNamespace, NamePrefix: spec.NamePrefix, NameSuffix: spec.NameSuffix,
		Patches: spec.Patches, Images: spec.Images,
	}
	content, err := sigsyaml.Marshal(relevant)
	if err != nil {
		return nil
	}
	var found []candidate
	for _, s := range scalarsOf(content, Place{Setting: SettingSpec}) {
		s.place.Line = 0
		found = append(found, candidate{s, 0, func(in build.Input) (build.Input, error) {
			text, err := s.rewrite(other(s.text))
			if err != nil {
				return in, err
			}
			var changed kustomizev1.KustomizationSpec
			if err := sigsyaml.Unmarshal(text, &changed); err != nil {
				return in, err
			}
			in.Spec.TargetNamespace, in.Spec.NamePrefix, in.Spec.NameSuffix = changed.TargetNamespace, changed.NamePrefix, changed.NameSuffix
			in.Spec.Patches, in.Spec.Images = changed.Patches, changed.Images
			return in, nil
		}})
	}
	return found
}

// rank orders the places that have changed a field: what only chooses what to change comes first, then by when it takes effect.
type rank struct {
	chooses bool // it is a name that something is looked for by
	share   int  // how much of the value is written there, in bytes
	setting int
	depth   int
}

func (c candidate) rank(q *question) rank {
	share := 0
	if strings.Contains(q.value, c.text) {
		share = len(c.text)
	} else if strings.Contains(c.text, q.value) {
		share = len(q.value)
	}
	return rank{chooses: c.place.chooses(), share: share, setting: c.place.Setting.order(), depth: c.depth}
}

// chooses says whether the place names what to change, not what to change it to: the name of an image, a patch's target.
func (p Place) chooses() bool {
	if p.Setting != SettingKustomization && p.Setting != SettingSpec && p.Setting != SettingPatch {
		return false
	}
	if len(p.Field) == 0 {
		return false
	}
	last := p.Field[len(p.Field)-1]
	top := p.Field[0]
	switch {
	case top == "images" || top == "replicas":
		return last == "name"
	case slices.Contains(p.Field, any("target")) || slices.Contains(p.Field, any("source")):
		return true
	default:
		return last == "kind" || last == "apiVersion"
	}
}

func (r rank) compare(o rank) int {
	if r.chooses != o.chooses {
		if r.chooses {
			return -1
		}
		return 1
	}
	return cmp.Or(r.setting-o.setting, o.depth-r.depth, r.share-o.share)
}

// answer writes what was found into the field.
func (q *question) answer(t *tracer) {
	f := q.field
	if q.lined != nil {
		f.Places = append(f.Places, *q.lined)
	}
	slices.SortStableFunc(q.places, func(a, b ranked) int { return a.rank.compare(b.rank) })
	for _, p := range q.places {
		same := func(o Place) bool { return o.File != "" && o.File == p.File && o.Line == p.Line }
		if !slices.ContainsFunc(f.Places, same) {
			f.Places = append(f.Places, p.Place)
		}
	}
	if len(f.Places) == 0 {
		if place, ok := t.guess(q); ok {
			f.Places = append(f.Places, place)
		}
	}
	if q.found && text(f.Value) != q.value {
		for _, name := range build.Variables(q.value) {
			f.Places = append(f.Places, Place{Setting: SettingVariable, Variable: name})
		}
	}
}

// guess looks where the field is written, in the one document that has the object's kind and name.
func (t *tracer) guess(q *question) (Place, bool) {
	if !q.found {
		return Place{}, false
	}
	var found []Place
	for _, f := range t.files {
		if f.setting != SettingManifest {
			continue
		}
		decoder := yaml.NewDecoder(bytes.NewReader(f.content))
		for {
			var doc yaml.Node
			if err := decoder.Decode(&doc); err != nil {
				break
			}
			kind, name := nodeAt(&doc, Path{"kind"}), nodeAt(&doc, Path{"metadata", "name"})
			if kind == nil || name == nil || kind.Value != t.object.GetKind() || !strings.Contains(t.object.GetName(), name.Value) {
				continue
			}
			if at := nodeAt(&doc, q.path); at != nil {
				found = append(found, Place{Setting: f.setting, File: f.name, Line: lineOf(&doc, q.path), Field: q.path, Guessed: true})
			}
		}
	}
	if len(found) != 1 {
		return Place{}, false
	}
	return found[0], true
}

// withoutJSONPatches takes JSON patches out of every kustomization. It reports whether there were any.
func withoutJSONPatches(tree overlay, files []file) (overlay, []file, bool) {
	contents := map[string][]byte{}
	for _, f := range files {
		contents[f.name] = f.content
	}
	changed := false
	kept := slices.Clone(files)
	for i, f := range kept {
		if f.setting != SettingKustomization {
			continue
		}
		content, ok := stripJSONPatches(f, contents)
		if !ok {
			continue
		}
		changed = true
		kept[i].content = content
		tree = tree.with(f.name, content)
	}
	return tree, kept, changed
}

func stripJSONPatches(f file, contents map[string][]byte) ([]byte, bool) {
	var doc map[string]any
	if err := sigsyaml.Unmarshal(f.content, &doc); err != nil {
		return nil, false
	}
	_, had := doc["patchesJson6902"]
	delete(doc, "patchesJson6902")
	if patches, ok := doc["patches"].([]any); ok {
		kept := slices.DeleteFunc(slices.Clone(patches), func(p any) bool {
			patch, _ := p.(map[string]any)
			inline, _ := patch["patch"].(string)
			if file, ok := patch["path"].(string); ok {
				inline = string(contents[clean(dirOf(f.name)+"/"+file)])
			}
			return isJSONPatch(inline)
		})
		had = had || len(kept) < len(patches)
		doc["patches"] = kept
	}
	if !had {
		return nil, false
	}
	content, err := sigsyaml.Marshal(maps.Clone(doc))
	return content, err == nil
}

func dirOf(name string) string {
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		return name[:at]
	}
	return "."
}

// stripSpec takes JSON patches out of a Kustomization. It reports whether there were any.
func stripSpec(spec *kustomizev1.KustomizationSpec) bool {
	before := len(spec.Patches)
	kept := slices.Clone(spec.Patches)
	kept = kept[:0]
	for _, p := range spec.Patches {
		if !isJSONPatch(p.Patch) {
			kept = append(kept, p)
		}
	}
	spec.Patches = kept
	return len(kept) < before
}

// isJSONPatch says whether a text is a list of operations.
func isJSONPatch(text string) bool {
	var operations []map[string]any
	return sigsyaml.Unmarshal([]byte(text), &operations) == nil && len(operations) > 0
}
