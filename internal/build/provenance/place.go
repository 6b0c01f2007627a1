package provenance

import "encoding/json"

// Setting is the way in which a value got into an object.
type Setting string

// The settings, in the order in which they take effect.
const (
	// SettingManifest is a file listed under resources.
	SettingManifest Setting = "manifest"
	// SettingGenerator is a file that a generator, replacement or plugin of a kustomization reads.
	SettingGenerator Setting = "generator file"
	// SettingPatch is a patch in a file of its own.
	SettingPatch Setting = "patch"
	// SettingKustomization is a kustomization.yaml: an image, a label, a name prefix, an inline patch.
	SettingKustomization Setting = "kustomization"
	// SettingSpec is a field of the Kustomization object.
	SettingSpec Setting = "Kustomization.spec"
	// SettingVariable is a variable of postBuild.
	SettingVariable Setting = "variable"
)

func (s Setting) order() int {
	switch s {
	case SettingManifest:
		return 0
	case SettingGenerator:
		return 1
	case SettingPatch:
		return 2
	case SettingKustomization:
		return 3
	case SettingSpec:
		return 4
	default:
		return 5
	}
}

// holdsPatches says whether a text of YAML within such a file is one to look into. In a ConfigMap it is a value like any other.
func (s Setting) holdsPatches() bool { return s == SettingKustomization || s == SettingSpec }

// Place is where a value is written.
type Place struct {
	Setting Setting
	// File is the path in the tree, and Line counts from 1. Empty for Kustomization.spec and variables.
	File string
	Line int
	// Field is where in the file, or in Kustomization.spec, the value is. Of text that isn't YAML there is none.
	Field Path
	// Variable is the name of a variable.
	Variable string
	// Guessed says that the line is where the field is written, but that no experiment has shown that it decides.
	Guessed bool
}

// MarshalJSON leaves out what doesn't apply.
func (p Place) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Setting  Setting `json:"setting"`
		File     string  `json:"file,omitempty"`
		Line     int     `json:"line,omitempty"`
		Field    string  `json:"field,omitempty"`
		Variable string  `json:"variable,omitempty"`
		Guessed  bool    `json:"guessed,omitempty"`
	}{p.Setting, p.File, p.Line, p.Field.String(), p.Variable, p.Guessed})
}

// Field is one field of an object, and the places that decide its value.
type Field struct {
	Path  Path
	Value any
	// Places in the order in which they take effect. The last one has set the field, those before have had a part in it. None: it
	// follows from something else, such as the hash in a generated name.
	Places []Place
}
