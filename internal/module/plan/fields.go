package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// maxFields is how many fields are named of one object.
	maxFields = 50
	// maxAllFields is how many are named of all objects, about.
	maxAllFields = 2000
	// maxValue is how long a value is shown, in characters.
	maxValue = 120
)

// fields says where two states of an object differ, without what the API server writes for itself. Of Secrets no value is told, and of no
// object one whose name says that it is secret.
func fields(live, next *unstructured.Unstructured) []Field {
	if live == nil || next == nil {
		return nil
	}
	d := &difference{secret: live.GetKind() == "Secret" && live.GroupVersionKind().Group == ""}
	d.compare("", meaning(live), meaning(next))
	return d.fields
}

// meaning is an object without what only a server writes.
func meaning(o *unstructured.Unstructured) map[string]any {
	out := maps.Clone(o.Object)
	delete(out, "status")
	metadata, _ := out["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	maps.DeleteFunc(metadata, func(field string, _ any) bool { return kube.ServerWrites(field) })
	if notes, ok := metadata["annotations"].(map[string]any); ok {
		notes = maps.Clone(notes)
		delete(notes, "kubectl.kubernetes.io/last-applied-configuration") // holds the object once more
		metadata["annotations"] = notes
	}
	out["metadata"] = metadata
	return out
}

type difference struct {
	secret bool
	fields []Field
}

func (d *difference) compare(path string, a, b any) {
	if len(d.fields) >= maxFields || reflect.DeepEqual(a, b) {
		return
	}
	before, wasMap := a.(map[string]any)
	after, isMap := b.(map[string]any)
	if wasMap && isMap {
		keys := slices.Sorted(maps.Keys(before))
		for key := range after {
			if _, both := before[key]; !both {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			d.compare(path+step(key), before[key], after[key])
		}
		return
	}
	was, wasList := a.([]any)
	is, isList := b.([]any)
	if wasList && isList {
		d.lists(path, was, is)
		return
	}
	d.add(path, a, b)
}

// lists compares items that have names by these, others by their place.
func (d *difference) lists(path string, a, b []any) {
	if names, ok := named(a); ok {
		if others, ok := named(b); ok {
			all := slices.Sorted(maps.Keys(names))
			for name := range others {
				if _, both := names[name]; !both {
					all = append(all, name)
				}
			}
			slices.Sort(all)
			for _, name := range all {
				d.compare(fmt.Sprintf("%s[name=%q]", path, name), names[name], others[name])
			}
			return
		}
	}
	for i := range max(len(a), len(b)) {
		var x, y any
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		d.compare(fmt.Sprintf("%s[%d]", path, i), x, y)
	}
}

// named returns items by their names, if all have one of their own.
func named(list []any) (map[string]any, bool) {
	out := map[string]any{}
	for _, item := range list {
		fields, _ := item.(map[string]any)
		name, _ := fields["name"].(string)
		if _, twice := out[name]; name == "" || twice {
			return nil, false
		}
		out[name] = item
	}
	return out, len(out) > 0
}

func step(key string) string {
	if strings.ContainsAny(key, "./[]\"") {
		return fmt.Sprintf("[%q]", key)
	}
	return "." + key
}

func (d *difference) add(path string, a, b any) {
	f := Field{Path: path}
	if !d.secret && !private(path) {
		f.From, f.To = value(a), value(b)
	}
	d.fields = append(d.fields, f)
}

// private is whether a path speaks of what shouldn't be shown: people write passwords where they don't belong.
func private(path string) bool {
	path = strings.ToLower(path)
	return slices.ContainsFunc([]string{"password", "passwd", "secret", "token", "credential", "apikey", "api_key", "privatekey", ".env["}, func(word string) bool {
		return strings.Contains(path, word)
	})
}

// value is a value in JSON, abridged; nothing for what isn't there.
func value(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	if runes := []rune(string(text)); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return string(text)
}
