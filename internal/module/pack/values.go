package pack

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// Merge lays values over others: tables are merged key by key, everything else is replaced, and null takes a key away. Neither is changed.
func Merge(below, above Values) Values {
	out := make(Values, len(below)+len(above))
	for key, value := range below {
		out[key] = value
	}
	for key, value := range above {
		upper, isTable := value.(map[string]any)
		lower, wasTable := out[key].(map[string]any)
		switch {
		case value == nil:
			delete(out, key)
		case isTable && wasTable:
			out[key] = Merge(lower, upper)
		case isTable:
			out[key] = Merge(nil, upper) // without its nulls
		default:
			out[key] = value
		}
	}
	return out
}

// Overlay is Merge with nulls kept, for a chart: there they take away what the chart has.
func Overlay(below, above Values) Values {
	out := maps.Clone(below)
	if out == nil {
		out = Values{}
	}
	for key, value := range above {
		upper, isTable := value.(map[string]any)
		lower, wasTable := out[key].(map[string]any)
		if isTable && wasTable {
			out[key] = Overlay(lower, upper)
			continue
		}
		out[key] = value
	}
	return out
}

// maxVariables bounds what values may be written out to.
const maxVariables = 1000

// variables are the values that are no tables and no lists, by the parts of their paths joined with _.
func variables(values Values) (map[string]string, error) {
	all := map[string]string{}
	err := flatten("", values, all)
	return all, err
}

func flatten(prefix string, values Values, all map[string]string) error {
	for key, value := range values {
		name := prefix + strings.Map(func(r rune) rune {
			if r == '-' || r == '.' || r == '/' {
				return '_'
			}
			return r
		}, key)
		if table, ok := value.(map[string]any); ok {
			if err := flatten(name+"_", table, all); err != nil {
				return err
			}
			continue
		}
		text, ok := scalar(value)
		if !ok {
			continue
		}
		if _, twice := all[name]; twice {
			return &Invalid{Field: "values", Message: fmt.Sprintf("two settings are both ${%s}: rename one of them in the package", name)}
		}
		if all[name] = text; len(all) > maxVariables {
			return &Invalid{Field: "values", Message: fmt.Sprintf("there are more than %d settings to substitute", maxVariables)}
		}
	}
	return nil
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// given lists what a person has set as text, to keep it out of messages: it may come from a Secret.
func given(values any) []string {
	var all []string
	switch v := values.(type) {
	case map[string]any:
		for _, value := range v {
			all = append(all, given(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, given(value)...)
		}
	case string:
		if len(v) >= minHidden {
			all = append(all, v)
		}
	}
	return all
}

// minHidden is the length in bytes from which a text is taken out of messages. Shorter ones are words such as "on" far more often than
// secrets, and taking them out would leave nothing to read.
const minHidden = 4
