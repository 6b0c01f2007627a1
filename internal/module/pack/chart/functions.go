package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
	goyaml "sigs.k8s.io/yaml/goyaml.v3"
)

// functions are those that Helm's templates have, but for include, tpl, required and fail, which belong to one execution. random is told
// when a template calls one that gives something else each time.
func functions(now time.Time, random func(name string)) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	maps.Copy(all, formats())
	maps.Copy(all, clock(now))
	maps.Copy(all, bounds())
	for _, name := range unsteady() {
		all[name] = telling(all[name], func() { random(name) })
	}
	all["lookup"] = func(string, string, string, string) map[string]any { return map[string]any{} }
	all["getHostByName"] = func(string) string { return "" }
	// In an order that doesn't change.
	all["keys"] = func(tables ...map[string]any) []string {
		keys := []string{}
		for _, t := range tables {
			keys = append(keys, slices.Sorted(maps.Keys(t))...)
		}
		return keys
	}
	all["values"] = func(table map[string]any) []any {
		values := []any{}
		for _, key := range slices.Sorted(maps.Keys(table)) {
			values = append(values, table[key])
		}
		return values
	}
	return all
}

// unsteady are the functions that give something else each time.
func unsteady() []string {
	return []string{
		"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
		"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
		"bcrypt", "htpasswd", "encryptAES",
	}
}

// telling is a function that says when it is called.
func telling(f any, tell func()) any {
	inner := reflect.ValueOf(f)
	return reflect.MakeFunc(inner.Type(), func(args []reflect.Value) []reflect.Value {
		tell()
		if inner.Type().IsVariadic() {
			return inner.CallSlice(args)
		}
		return inner.Call(args)
	}).Interface()
}

// clock are the functions that know the time. All of them know the same one.
func clock(now time.Time) template.FuncMap {
	in := func(layout string, at any, zone string) string {
		t := now
		switch at := at.(type) {
		case time.Time:
			t = at
		case *time.Time:
			t = *at
		case int64:
			t = time.Unix(at, 0)
		case int:
			t = time.Unix(int64(at), 0)
		case int32:
			t = time.Unix(int64(at), 0)
		}
		place, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			place = time.UTC
		}
		return t.In(place).Format(layout)
	}
	return template.FuncMap{
		"now":            func() time.Time { return now },
		"date":           func(layout string, at any) string { return in(layout, at, "UTC") },
		"dateInZone":     in,
		"date_in_zone":   in,
		"htmlDate":       func(at any) string { return in(time.DateOnly, at, "UTC") },
		"htmlDateInZone": func(at any, zone string) string { return in(time.DateOnly, at, zone) },
		"ago": func(at any) string {
			switch at := at.(type) {
			case time.Time:
				return now.Sub(at).Round(time.Second).String()
			case int64:
				return now.Sub(time.Unix(at, 0)).Round(time.Second).String()
			case int:
				return now.Sub(time.Unix(int64(at), 0)).Round(time.Second).String()
			}
			return "0s"
		},
	}
}

// formats are the functions that write values as text, and read them.
func formats() template.FuncMap {
	return template.FuncMap{
		"toYaml":        lenient(toYAML),
		"mustToYaml":    toYAML,
		"toYamlPretty":  lenient(toYAMLPretty),
		"toJson":        lenient(toJSON),
		"mustToJson":    toJSON,
		"toToml":        spoken(toTOML),
		"mustToToml":    toTOML,
		"fromYaml":      read(yamlInto[map[string]any], func(err error) map[string]any { return map[string]any{"Error": err.Error()} }),
		"fromYamlArray": read(yamlInto[[]any], func(err error) []any { return []any{err.Error()} }),
		"fromJson":      read(jsonInto[map[string]any], func(err error) map[string]any { return map[string]any{"Error": err.Error()} }),
		"fromJsonArray": read(jsonInto[[]any], func(err error) []any { return []any{err.Error()} }),
		"fromToml":      read(tomlInto[map[string]any], func(err error) map[string]any { return map[string]any{"Error": err.Error()} }),
		"printf": func(format string, args ...any) (string, error) {
			return written(func(args ...any) string { return fmt.Sprintf(format, args...) }, args)
		},
		"print":    func(args ...any) (string, error) { return written(fmt.Sprint, args) },
		"println":  func(args ...any) (string, error) { return written(fmt.Sprintln, args) },
		"html":     func(args ...any) (string, error) { return written(template.HTMLEscaper, args) },
		"js":       func(args ...any) (string, error) { return written(template.JSEscaper, args) },
		"urlquery": func(args ...any) (string, error) { return written(template.URLQueryEscaper, args) },
	}
}

func written(write func(...any) string, args []any) (string, error) {
	if err := weigh(args...); err != nil {
		return "", err
	}
	return write(args...), nil
}

// lenient gives nothing where a value can't be written, as Helm does, unless it is too large.
func lenient(write func(any) (string, error)) func(any) (string, error) {
	return func(v any) (string, error) {
		if err := weigh(v); err != nil {
			return "", err
		}
		text, err := write(v)
		if err != nil {
			return "", nil //nolint:nilerr // As Helm does.
		}
		return text, nil
	}
}

// spoken gives the words of the failure where a value can't be written, as Helm does.
func spoken(write func(any) (string, error)) func(any) (string, error) {
	return func(v any) (string, error) {
		if err := weigh(v); err != nil {
			return "", err
		}
		text, err := write(v)
		if err != nil {
			return err.Error(), nil //nolint:nilerr // As Helm does.
		}
		return text, nil
	}
}

func toYAML(v any) (string, error) {
	if err := weigh(v); err != nil {
		return "", err
	}
	text, err := yaml.Marshal(v)
	return strings.TrimSuffix(string(text), "\n"), err
}

func toYAMLPretty(v any) (string, error) {
	var text strings.Builder
	e := goyaml.NewEncoder(&text)
	e.SetIndent(2)
	err := e.Encode(v)
	return strings.TrimSuffix(text.String(), "\n"), err
}

func toJSON(v any) (string, error) {
	if err := weigh(v); err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func toTOML(v any) (string, error) {
	if err := weigh(v); err != nil {
		return "", err
	}
	var text strings.Builder
	err := toml.NewEncoder(&text).Encode(v)
	return text.String(), err
}

func yamlInto[T any](text string, into *T) error { return yaml.Unmarshal([]byte(text), into) }

func jsonInto[T any](text string, into *T) error { return json.Unmarshal([]byte(text), into) }

func tomlInto[T any](text string, into *T) error { return toml.Unmarshal([]byte(text), into) }

// read gives what a text holds; where it can't be read, what Helm gives: the reason, in the place of the content.
func read[T any](parse func(string, *T) error, broken func(error) T) func(string) T {
	return func(text string) T {
		var into T
		if err := parse(text, &into); err != nil {
			return broken(err)
		}
		return into
	}
}
