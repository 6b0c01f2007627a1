package apply

import (
	"encoding/base64"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const hidden = "***"

// hide replaces the data of a Secret in a text, plain and encoded.
func hide(it *item, text string) string {
	data, _, _ := unstructured.NestedMap(it.obj.Object, "data")
	for _, v := range data {
		encoded, ok := v.(string)
		if !ok || encoded == "" {
			continue
		}
		text = strings.ReplaceAll(text, encoded, hidden)
		if plain, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(plain) > 0 {
			text = strings.ReplaceAll(text, string(plain), hidden)
		}
	}
	return text
}

// maskPair replaces the values of a Secret's data, before and after a change, such that it shows which differ and nothing else.
func maskPair(before, after *unstructured.Unstructured) {
	old, fresh := dataOf(before), dataOf(after)
	for k, v := range old {
		old[k] = hidden
		if w, stays := fresh[k]; stays {
			fresh[k] = hidden
			if v != w {
				old[k], fresh[k] = hidden+" (before)", hidden+" (after)"
			}
		}
	}
	for k := range fresh {
		if _, was := old[k]; !was {
			fresh[k] = hidden
		}
	}
	setData(before, old)
	setData(after, fresh)
}

func dataOf(obj *unstructured.Unstructured) map[string]any {
	if obj == nil {
		return nil
	}
	data, ok, err := unstructured.NestedMap(obj.Object, "data")
	if err != nil {
		obj.Object["data"] = hidden
	}
	if !ok || err != nil {
		return nil
	}
	return data
}

func setData(obj *unstructured.Unstructured, data map[string]any) {
	if obj != nil && data != nil {
		obj.Object["data"] = data
	}
}
