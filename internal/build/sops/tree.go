package sops

// A file is a list of documents, each a mapping. Values are string, int, float64, bool, time.Time, nil, mapping and list.
type (
	document = mapping
	// mapping keeps the order of the file.
	mapping []entry
	list    []any
)

// entry is one key with its value, or a comment between two, which has no value.
type entry struct {
	key     string
	comment *comment
	value   any
}

// comment may be encrypted, too. In a list it is an element, of type *comment.
type comment struct {
	text string
	// inline: it stands on the line of the value before which it is listed.
	inline bool
}

// get returns the value of a key.
func (m mapping) get(key string) (any, bool) {
	for _, e := range m {
		if e.comment == nil && e.key == key {
			return e.value, true
		}
	}
	return nil, false
}

// without returns the mapping without a key, and its value.
func (m mapping) without(key string) (mapping, any, bool) {
	for i, e := range m {
		if e.comment == nil && e.key == key {
			return append(m[:i:i], m[i+1:]...), e.value, true
		}
	}
	return m, nil, false
}

// maxDepth bounds how deep a file may be nested; no file that a build takes is deeper.
const maxDepth = 200
