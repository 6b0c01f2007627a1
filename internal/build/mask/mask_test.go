package mask_test

import (
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/build/mask"
)

func TestHide(t *testing.T) {
	m := mask.Of("hunter2-and-more", "hunter2")
	got := m.Hide(`spec.password: Invalid value: "hunter2-and-more", "hunter2"`)
	if strings.Contains(got, "hunter2") || strings.Contains(got, "and-more") {
		t.Errorf("a secret shows in %q", got)
	}
}

func TestHideKnowsTheFormsOfAValue(t *testing.T) {
	m := mask.Of("first \"line\"\nsecond line\n")
	for name, text := range map[string]string{
		"as it is":       "first \"line\"\nsecond line\n",
		"as substituted": `Invalid value: "first "line"second line"`,
		"quoted":         `Invalid value: "first \"line\"second line"`,
		"one line":       "bad label: second line!",
		"encoded":        "Zmlyc3QgImxpbmUiCnNlY29uZCBsaW5lCg==",
	} {
		got := m.Hide(text)
		if strings.Contains(got, "first") || strings.Contains(got, "second") || strings.Contains(got, "Zmlyc3Q") {
			t.Errorf("%s: a secret shows in %q", name, got)
		}
	}
	if got := mask.Of("c2VjcmV0LXRleHQ=").Hide("secret-text"); strings.Contains(got, "secret-text") {
		t.Errorf("what an encoded value stands for shows: %q", got)
	}
}

func TestHideKnowsPieces(t *testing.T) {
	m := mask.Of("correct-horse-battery-staple-and-a-few-words-more")
	for name, text := range map[string]string{
		"cut at the end":      "Invalid value: correct-horse-battery-st…",
		"cut at the start":    "…battery-staple-and-a-few-words-more is not a number",
		"encoded, and cut":    "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YX",
		"in the middle of it": "at ry-staple-and-a-few-wor",
	} {
		got := m.Hide(text)
		if strings.Contains(got, "staple") || strings.Contains(got, "horse") || strings.Contains(got, "Y29ycmVjdC1o") {
			t.Errorf("%s: a secret shows in %q", name, got)
		}
	}
}

func TestHideLeavesWordsAlone(t *testing.T) {
	for _, tc := range []struct{ value, text string }{{"on", "go on"}, {"", "text"}, {"\n\n\n\n", "a\n\n\n\nb"}} {
		if got := mask.Of(tc.value).Hide(tc.text); got != tc.text {
			t.Errorf("%q protects nothing, and tears %q apart: %q", tc.value, tc.text, got)
		}
	}
	if got := mask.Of("geheim").Hide("größer: geheim"); got != "größer: "+mask.Hidden {
		t.Errorf("got %q", got)
	}
}
