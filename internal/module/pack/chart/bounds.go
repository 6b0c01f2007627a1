package chart

import (
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// bounds are the functions that make much out of little. What they would give is weighed before it is made.
func bounds() template.FuncMap {
	inner := sprig.TxtFuncMap()
	return template.FuncMap{
		"repeat": func(n int, text string) (string, error) {
			if n < 0 {
				return "", failf("", "repeat: a number below zero")
			}
			if err := bounded("repeat", n, len(text)); err != nil {
				return "", err
			}
			return strings.Repeat(text, n), nil
		},
		"indent": indent,
		"nindent": func(n int, text string) (string, error) {
			text, err := indent(n, text)
			return "\n" + text, err
		},
		"replace": func(old, with, text string) (string, error) {
			if err := bounded("replace", strings.Count(text, old), len(with)); err != nil {
				return "", err
			}
			return strings.ReplaceAll(text, old, with), nil
		},
		"until":     func(n int) ([]int, error) { return numbers(0, n, sign(n)) },
		"untilStep": numbers,
		"seq": func(params ...int) (string, error) {
			for _, n := range params {
				if n > maxLoop || n < -maxLoop {
					return "", failf("", "seq: more than %d numbers", maxLoop)
				}
			}
			return inner["seq"].(func(...int) string)(params...), nil //nolint:forcetypeassert // The library's own.
		},
		"wrapWith": func(width int, with, text string) (string, error) {
			if err := bounded("wrapWith", len(text)/max(width, 1), len(with)); err != nil {
				return "", err
			}
			return inner["wrapWith"].(func(int, string, string) string)(width, with, text), nil //nolint:forcetypeassert // As above.
		},
		"join": func(with string, list any) (string, error) {
			if err := weigh(list); err != nil {
				return "", err
			}
			return inner["join"].(func(string, any) string)(with, list), nil //nolint:forcetypeassert // As above.
		},
		"regexReplaceAll":            replaceAll(inner["regexReplaceAll"]),
		"regexReplaceAllLiteral":     replaceAll(inner["regexReplaceAllLiteral"]),
		"mustRegexReplaceAll":        mustReplaceAll(inner["mustRegexReplaceAll"]),
		"mustRegexReplaceAllLiteral": mustReplaceAll(inner["mustRegexReplaceAllLiteral"]),
		"toPrettyJson":               weighed(inner["toPrettyJson"]),
		"toRawJson":                  weighed(inner["toRawJson"]),
		"mustToPrettyJson":           mustWeighed(inner["mustToPrettyJson"]),
		"mustToRawJson":              mustWeighed(inner["mustToRawJson"]),
		"toString":                   weighed(inner["toString"]),
		"quote":                      weighedAll(inner["quote"]),
		"squote":                     weighedAll(inner["squote"]),
		"cat":                        weighedAll(inner["cat"]),
		"deepCopy":                   copied(inner["deepCopy"]),
		"mustDeepCopy":               mustCopied(inner["mustDeepCopy"]),
	}
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

func indent(n int, text string) (string, error) {
	if n < 0 {
		return "", failf("", "indent: a number below zero")
	}
	if err := bounded("indent", strings.Count(text, "\n")+1, n); err != nil {
		return "", err
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad), nil
}

// numbers counts from start up to stop, which isn't among them; or down, where step is below zero.
func numbers(start, stop, step int) ([]int, error) {
	all := []int{}
	if step == 0 || stop > start != (step > 0) {
		return all, nil
	}
	for n := start; step > 0 && n < stop || step < 0 && n > stop; n += step {
		if all = append(all, n); len(all) > maxLoop {
			return nil, failf("", "a list of more than %d numbers", maxLoop)
		}
	}
	return all, nil
}

func replaceAll(f any) any {
	inner := f.(func(string, string, string) string) //nolint:forcetypeassert // The library's own.
	return func(pattern, text, with string) (string, error) {
		if err := replaceable(pattern, text, with); err != nil {
			return "", err
		}
		return inner(pattern, text, with), nil
	}
}

func mustReplaceAll(f any) any {
	inner := f.(func(string, string, string) (string, error)) //nolint:forcetypeassert // As above.
	return func(pattern, text, with string) (string, error) {
		if err := replaceable(pattern, text, with); err != nil {
			return "", err
		}
		return inner(pattern, text, with)
	}
}

func replaceable(pattern, text, with string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return failf("", "%v", err)
	}
	return bounded("regexReplaceAll", len(text)+1, len(with))
}

func weighed(f any) any {
	inner := f.(func(any) string) //nolint:forcetypeassert // As above.
	return func(v any) (string, error) {
		if err := weigh(v); err != nil {
			return "", err
		}
		return inner(v), nil
	}
}

func mustWeighed(f any) any {
	inner := f.(func(any) (string, error)) //nolint:forcetypeassert // As above.
	return func(v any) (string, error) {
		if err := weigh(v); err != nil {
			return "", err
		}
		return inner(v)
	}
}

func weighedAll(f any) any {
	inner := f.(func(...any) string) //nolint:forcetypeassert // As above.
	return func(v ...any) (string, error) {
		if err := weigh(v...); err != nil {
			return "", err
		}
		return inner(v...), nil
	}
}

func copied(f any) any {
	inner := f.(func(any) any) //nolint:forcetypeassert // As above.
	return func(v any) (any, error) {
		if err := weigh(v); err != nil {
			return nil, err
		}
		return inner(v), nil
	}
}

func mustCopied(f any) any {
	inner := f.(func(any) (any, error)) //nolint:forcetypeassert // As above.
	return func(v any) (any, error) {
		if err := weigh(v); err != nil {
			return nil, err
		}
		return inner(v)
	}
}
