package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path leads to a field: keys of maps are strings, positions in lists are ints.
type Path []any

// String writes the path as people do: spec.template.spec.containers[0].image, and metadata.labels[app.kubernetes.io/name] where a
// key has a dot in it.
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			if strings.ContainsAny(step, ".[]") {
				fmt.Fprintf(&b, "[%s]", step)
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

// MarshalJSON writes the path as String does.
func (p Path) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// ParsePath reads what String writes, and what kubectl's JSONPath would: a leading dot or braces, quotes in brackets, and
// backslashes before dots. In brackets, a word that isn't a number is a key, or the name of a list's element.
func ParsePath(text string) (Path, error) {
	rest := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}"), "$")
	var path Path
	for rest != "" {
		switch rest[0] {
		case '.':
			rest = rest[1:]
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("the field %q has a [ without ]", text)
			}
			word := strings.Trim(rest[1:end], `'"`)
			rest = rest[end+1:]
			if at, err := strconv.Atoi(word); err == nil && at >= 0 {
				path = append(path, at)
			} else {
				path = append(path, word)
			}
		default:
			key, after := cutKey(rest)
			path, rest = append(path, key), after
		}
	}
	if len(path) == 0 {
		return nil, fmt.Errorf("%q names no field; write it like spec.replicas or spec.template.spec.containers[0].image", text)
	}
	return path, nil
}

func cutKey(text string) (key, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == '.' || text[i] == '[':
			return b.String(), text[i:]
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

// Resolve makes every step of path fit obj: the name of a list's element becomes its position. It reports whether the field is there.
func Resolve(obj any, path Path) (Path, any, bool) {
	var resolved Path
	for _, step := range path {
		switch at := obj.(type) {
		case map[string]any:
			key := fmt.Sprint(step)
			value, ok := at[key]
			if !ok {
				return append(resolved, path[len(resolved):]...), nil, false
			}
			resolved, obj = append(resolved, key), value
		case []any:
			i := position(at, step)
			if i < 0 {
				return append(resolved, path[len(resolved):]...), nil, false
			}
			resolved, obj = append(resolved, i), at[i]
		default:
			return append(resolved, path[len(resolved):]...), nil, false
		}
	}
	return resolved, obj, true
}

func position(list []any, step any) int {
	if i, ok := step.(int); ok {
		if i >= len(list) {
			return -1
		}
		return i
	}
	return slices.IndexFunc(list, func(item any) bool {
		m, ok := item.(map[string]any)
		return ok && (m["name"] == step || m["key"] == step || m["mountPath"] == step)
	})
}

// Follow finds, in another state of the object, the field that path leads to in obj: elements of lists that have a name, or another key of
// their own, are found by it, others by their position.
func Follow(obj any, path Path, other any) (Path, any, bool) {
	var there Path
	for _, step := range path {
		switch here := obj.(type) {
		case map[string]any:
			key, _ := step.(string)
			m, ok := other.(map[string]any)
			if !ok {
				return nil, nil, false
			}
			if other, ok = m[key]; !ok {
				return nil, nil, false
			}
			obj, there = here[key], append(there, key)
		case []any:
			i, _ := step.(int)
			list, ok := other.([]any)
			if !ok || i >= len(here) {
				return nil, nil, false
			}
			at := counterpart(here, i, list)
			if at < 0 {
				return nil, nil, false
			}
			obj, other, there = here[i], list[at], append(there, at)
		default:
			return nil, nil, false
		}
	}
	return there, other, true
}

// counterpart finds the element of there that is here[i]: the one with the same keys where elements have such, else the one at i.
func counterpart(here []any, i int, there []any) int {
	item, ok := here[i].(map[string]any)
	if ok {
		for _, keys := range [][]string{{"name"}, {"key", "operator"}, {"containerPort", "protocol"}, {"port", "protocol"}, {"containerPort"}, {"port"}, {"mountPath"}, {"ip"}, {"uid"}} {
			same := func(o any) bool {
				m, ok := o.(map[string]any)
				return ok && !slices.ContainsFunc(keys, func(k string) bool { return item[k] == nil || fmt.Sprint(m[k]) != fmt.Sprint(item[k]) })
			}
			if at := slices.IndexFunc(there, same); at >= 0 {
				return at
			}
		}
		if item["name"] != nil {
			return -1
		}
	}
	if i >= len(there) {
		return -1
	}
	return i
}

// Leaves lists the fields of obj that hold a value, not others; an empty map or list is one, too. Keys are sorted, except that
// apiVersion, kind, metadata and spec come first.
func Leaves(obj any) []Path {
	var found []Path
	var walk func(value any, at Path)
	walk = func(value any, at Path) {
		switch value := value.(type) {
		case map[string]any:
			if len(value) == 0 {
				break
			}
			for _, key := range orderedKeys(value) {
				walk(value[key], append(slices.Clone(at), key))
			}
			return
		case []any:
			if len(value) == 0 {
				break
			}
			for i := range value {
				walk(value[i], append(slices.Clone(at), i))
			}
			return
		}
		if len(at) > 0 {
			found = append(found, at)
		}
	}
	walk(obj, nil)
	return found
}

func orderedKeys(m map[string]any) []string {
	first := []string{"apiVersion", "kind", "metadata", "name", "namespace", "spec"}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		i, j := slices.Index(first, a), slices.Index(first, b)
		switch {
		case i >= 0 && j >= 0:
			return i - j
		case i >= 0:
			return -1
		case j >= 0:
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}
