package delivery

import (
	"strings"
	"testing"
)

func TestVariablesDigest(t *testing.T) {
	digest := func(values map[string]string) string { return variables{values: values}.digest() }
	if digest(map[string]string{"a": "1", "b": "2"}) != digest(map[string]string{"b": "2", "a": "1"}) {
		t.Error("the order of variables must not matter")
	}
	for name, other := range map[string]map[string]string{
		"value":    {"a": "1", "b": "3"},
		"name":     {"a": "1", "c": "2"},
		"fewer":    {"a": "1"},
		"boundary": {"a": "1\n1:b=1:2"},
	} {
		if digest(map[string]string{"a": "1", "b": "2"}) == digest(other) {
			t.Errorf("%s: different variables have the same digest", name)
		}
	}
	if got := digest(nil); got != "" {
		t.Errorf("no variables have digest %q, want none", got)
	}
}

func TestMask(t *testing.T) {
	v := variables{secrets: []string{"hunter2-and-more", "hunter2"}}
	got := v.mask(`spec.password: Invalid value: "hunter2-and-more", "hunter2"`)
	if strings.Contains(got, "hunter2") || strings.Contains(got, "and-more") {
		t.Errorf("a secret shows in %q", got)
	}
}

func TestMaskKnowsTheFormsOfAValue(t *testing.T) {
	v := variables{secrets: forms("first \"line\"\nsecond line\n")}
	for name, text := range map[string]string{
		"as it is":       "first \"line\"\nsecond line\n",
		"as substituted": `Invalid value: "first "line"second line"`,
		"quoted":         `Invalid value: "first \"line\"second line"`,
		"one line":       "bad label: second line!",
		"encoded":        "Zmlyc3QgImxpbmUiCnNlY29uZCBsaW5lCg==",
	} {
		got := v.mask(text)
		if strings.Contains(got, "first") || strings.Contains(got, "second") || strings.Contains(got, "Zmlyc3Q") {
			t.Errorf("%s: a secret shows in %q", name, got)
		}
	}
	if got := (variables{secrets: forms("on")}).mask("go on"); got != "go on" {
		t.Errorf("a word too short to protect tears texts apart: %q", got)
	}
}
