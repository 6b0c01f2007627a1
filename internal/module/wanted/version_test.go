package wanted_test

import (
	"testing"

	"github.com/slipway-dev/slipway/internal/module/wanted"
)

func TestRange(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		has, hasnt   []string
	}{
		"Any":           {"without a range every release will do", "", []string{"0.1.0", "v2.3.4", "2.3.4+b1"}, []string{"1.0.0-rc.1", "latest", "1.4", "1", ""}},
		"Exact":         {"one version, with v or without", "1.4.2", []string{"1.4.2", "v1.4.2"}, []string{"1.4.3", "1.4.2-rc.1"}},
		"ExactV":        {"the v belongs to the writing, not to the version", "v1.4.2", []string{"1.4.2", "v1.4.2"}, []string{"1.4.1"}},
		"ExactBefore":   {"a version before a release, named", "1.5.0-rc.1", []string{"1.5.0-rc.1", "v1.5.0-rc.1"}, []string{"1.5.0", "1.5.0-rc.2"}},
		"Bounds":        {"the lower bound is in, the upper isn't", ">=1.4 <2", []string{"1.4.0", "1.99.0"}, []string{"1.3.9", "2.0.0", "1.5.0-rc.1", "2.0.0-rc.1"}},
		"Comma":         {"a comma means and, too", ">=1.4, <2", []string{"1.4.0"}, []string{"2.0.0"}},
		"Tilde":         {"~ keeps the minor version", "~1.4", []string{"1.4.0", "1.4.9"}, []string{"1.5.0"}},
		"Caret":         {"^ keeps the major version", "^1.4.2", []string{"1.4.2", "1.9.0"}, []string{"1.4.1", "2.0.0"}},
		"CaretZero":     {"before 1.0 the minor version is the one that breaks", "^0.3.1", []string{"0.3.9"}, []string{"0.4.0"}},
		"Wildcard":      {"x stands for any", "1.4.x", []string{"1.4.7"}, []string{"1.5.0"}},
		"Short":         {"two numbers are a range", "1.4", []string{"1.4.7"}, []string{"1.5.0"}},
		"From To":       {"from one to another", "1.4 - 1.6", []string{"1.4.0", "1.6.3"}, []string{"1.7.0"}},
		"Or":            {"one of several", "~1.4 || ~1.6", []string{"1.4.1", "1.6.1"}, []string{"1.5.1"}},
		"Not":           {"all but a bad one", ">=1.4 !=1.5.0", []string{"1.4.0", "1.5.1"}, []string{"1.5.0"}},
		"BeforeIn":      {"who names a version before a release gets those", ">=1.5.0-0 <2.0.0-0", []string{"1.5.0-rc.1", "1.6.0-beta.1", "1.6.0"}, []string{"2.0.0-rc.1", "2.0.0"}},
		"BeforeLeaking": {"2.0.0-rc.1 is below 2.0.0: the page says how to leave it out", ">=1.5.0-0 <2", []string{"2.0.0-rc.1"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := wanted.ParseRange(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range tc.has {
				if !r.Has(v) {
					t.Errorf("%s: %q must have %s", tc.reason, tc.text, v)
				}
			}
			for _, v := range tc.hasnt {
				if r.Has(v) {
					t.Errorf("%s: %q must not have %q", tc.reason, tc.text, v)
				}
			}
		})
	}
}

func TestRangesThatAreNone(t *testing.T) {
	for _, text := range []string{"latest", ">=one", "1.4.2.1", "=>1.4 <", ">= 1.4 and < 2"} {
		if r, err := wanted.ParseRange(text); err == nil {
			t.Errorf("%q was read as %s", text, r)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"", "1.4.2", ">=1.4 <2", "~1 || ^2.0.0-0", "v", "*", "1.4 - 1.6", "99999999999999999999.0.0"} {
		f.Add(seed, "1.4.2")
	}
	f.Fuzz(func(t *testing.T, text, version string) {
		r, err := wanted.ParseRange(text)
		if err != nil {
			return
		}
		if again, err := wanted.ParseRange(text); err != nil || again.Has(version) != r.Has(version) {
			t.Errorf("%q has %q once, and once it hasn't", text, version)
		}
		if text == version && !r.Has(version) {
			if exact, _ := wanted.ParseRange("v" + version); exact.Has(version) {
				t.Errorf("the version %q isn't in itself", version)
			}
		}
	})
}
