package crd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

// applied is what the API server makes of a definition that is applied over another: it remembers in which versions it has stored.
// It fails the test where the API server would refuse.
func applied(t testing.TB, d, over *definition) *definition {
	t.Helper()
	next := live(d, over.Status.StoredVersions...)
	for _, name := range next.Status.StoredVersions {
		if find(next, name) == nil {
			t.Fatalf("the API server refuses a definition without stored version %s: %s", name, words(next))
		}
	}
	return next
}

func find(d *definition, name string) *apiextensionsv1.CustomResourceDefinitionVersion {
	i := slices.IndexFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return &d.Spec.Versions[i]
}

// words is the opposite of ship.
func words(d *definition) string {
	var all []string
	for _, v := range d.Spec.Versions {
		all = append(all, v.Name+map[[2]bool]string{{true, true}: "", {true, false}: "+", {false, true}: "-", {false, false}: "!"}[[2]bool{v.Served, v.Storage}])
	}
	return fmt.Sprint(all, " stored ", d.Status.StoredVersions)
}

func storageOf(d *definition) string {
	for _, v := range d.Spec.Versions {
		if v.Storage {
			return v.Name
		}
	}
	return ""
}

func TestTwoStep(t *testing.T) {
	cases := map[string]struct {
		reason             string
		live               *definition
		next               *definition
		first, flip, final string
		migrate            bool
	}{
		"new":                  {"one step", nil, ship(t, "v1", nil), "[v1] stored []", "[v1] stored []", "[v1] stored []", false},
		"schema only":          {"nothing moves", live(ship(t, "v1", nil)), ship(t, "v1", nil), "[v1] stored []", "[v1] stored []", "[v1] stored []", false},
		"version added":        {"it is served, the old one stores", live(ship(t, "v1beta1", nil)), ship(t, "v1beta1+ v1", nil), "[v1beta1 v1+] stored []", "[v1beta1+ v1] stored []", "[v1beta1+ v1] stored []", true},
		"version unserved":     {"it is served until the end", live(ship(t, "v1beta1 v1+", nil)), ship(t, "v1beta1! v1", nil), "[v1beta1 v1+] stored []", "[v1beta1+ v1] stored []", "[v1beta1! v1] stored []", true},
		"version gone":         {"it stays until objects are rewritten", live(ship(t, "v1beta1 v1+", nil)), ship(t, "v1", nil), "[v1+ v1beta1] stored []", "[v1 v1beta1+] stored []", "[v1] stored []", true},
		"old one remembered":   {"only the objects have to be rewritten", live(ship(t, "v1beta1+ v1", nil), "v1beta1"), ship(t, "v1beta1+ v1", nil), "[v1beta1+ v1] stored []", "[v1beta1+ v1] stored []", "[v1beta1+ v1] stored []", true},
		"neither nor":          {"nobody serves it and nobody stores it", live(ship(t, "v1alpha1! v1", nil)), ship(t, "v1", nil), "[v1] stored []", "[v1] stored []", "[v1] stored []", false},
		"both with webhook":    {"the webhook knows what next has", live(ship(t, "v1beta1 v1+", nil, converted("a"))), ship(t, "v1beta1+ v1", nil, converted("a")), "[v1beta1 v1+] stored []", "[v1beta1+ v1] stored []", "[v1beta1+ v1] stored []", true},
		"unserved and storing": {"a version that nobody serves may store", live(ship(t, "v1beta1- v1+", nil)), ship(t, "v1", nil), "[v1+ v1beta1-] stored []", "[v1 v1beta1!] stored []", "[v1] stored []", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := crd.TwoStep(tc.live, tc.next)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{words(s.First), words(s.Flip), words(s.Final)}
			if diff := cmp.Diff([]string{tc.first, tc.flip, tc.final}, got); diff != "" || s.Migrate != tc.migrate {
				t.Errorf("%s: migrate %t (-want +got):\n%s", tc.reason, s.Migrate, diff)
			}
		})
	}
}

func TestTwoStepRefuses(t *testing.T) {
	was, next := live(ship(t, "v1beta1 v1+", nil, converted("a"))), ship(t, "v1", nil, converted("a"))
	if _, err := crd.TwoStep(was, next); !errors.Is(err, crd.ErrStored) {
		t.Errorf("a webhook that may not know the stored version: %v", err)
	}
	if r := compare(t, crd.Change{Live: was, Next: next, ConvertsBack: true}); r.Safe() || r.Reversible() {
		t.Error("what has no steps must be neither safe nor reversible")
	}
}

func TestBackAfterCommit(t *testing.T) {
	previous := ship(t, "v1beta1", nil)
	was, next := live(previous), ship(t, "v1beta1+ v1", nil)
	s, err := crd.TwoStep(was, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := crd.Back(applied(t, s.Flip, applied(t, s.First, was)), previous); !errors.Is(err, crd.ErrStored) {
		t.Errorf("want the point of no return, got %v", err)
	}
	if back, err := crd.Back(live(ship(t, "v1beta1+ v1", nil), "v1beta1"), ship(t, "v1beta1 v1+", nil)); err != nil || storageOf(back) != "v1beta1" {
		t.Errorf("a definition that has both versions takes the storage back: %v", err)
	}
}

// random makes a definition with some of three versions, each with a field that only it has in this round.
func random(t *testing.T, r *rand.Rand, round string) *definition {
	names := []string{"v1alpha1", "v1beta1", "v1"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:1+r.IntN(3)]
	text, schemas := "", map[string]string{}
	for i, name := range names {
		mark := []string{"+", "+", "!"}[r.IntN(3)]
		if i == 0 {
			mark = []string{"", "", "-"}[r.IntN(3)]
		}
		text += " " + name + mark
		schemas[name] = "{type: object, properties: {" + round + name + ": {type: string}}}"
	}
	var edits []func(*definition)
	if r.IntN(3) == 0 {
		edits = append(edits, converted("a"))
	}
	return ship(t, text, schemas, edits...)
}

// What must hold of the steps between any two definitions.
func TestStepsOfAnyTwo(t *testing.T) {
	ignoreStatus := cmpopts.IgnoreFields(definition{}, "Status")
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a test that can be repeated
		previous, next := random(t, r, "old"), random(t, r, "new")
		var remembered []string
		for _, v := range previous.Spec.Versions {
			if r.IntN(2) == 0 {
				remembered = append(remembered, v.Name)
			}
		}
		was := live(previous, remembered...)
		before := was.DeepCopy()
		fail := func(format string, args ...any) {
			t.Helper()
			t.Errorf("seed %d, %s to %s: %s", seed, words(was), words(next), fmt.Sprintf(format, args...))
		}
		webhook := next.Spec.Conversion != nil && next.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter
		s, err := crd.TwoStep(was, next)
		report := compare(t, crd.Change{Live: was, Next: next, ConvertsBack: true})
		if err != nil {
			if !errors.Is(err, crd.ErrStored) || !webhook || report.Safe() {
				fail("no steps, but the report says safe: %v", err)
			}
			continue
		}
		if !cmp.Equal(before, was) {
			fail("the live definition was changed")
		}

		// Each intermediate definition is one that the API server takes, and serves what was served, and what is new.
		first := applied(t, s.First, was)
		flip := applied(t, s.Flip, first)
		for _, d := range []*definition{first, flip} {
			for _, v := range was.Spec.Versions {
				if got := find(d, v.Name); v.Served && !webhook && (got == nil || !got.Served) {
					fail("%s is not served in %s", v.Name, words(d))
				}
			}
			for _, name := range was.Status.StoredVersions {
				if got, had := find(d, name), find(was, name); got == nil || had.Served && !got.Served {
					fail("objects stored in %s can't be reached in %s", name, words(d))
				}
			}
			for _, v := range next.Spec.Versions {
				if got := find(d, v.Name); got == nil || v.Served && !got.Served {
					fail("%s, which is new, is not served in %s", v.Name, words(d))
				}
			}
		}
		if storageOf(first) != storageOf(was) || storageOf(flip) != storageOf(next) {
			fail("stored in %s, then %s", storageOf(first), storageOf(flip))
		}

		// The commit ends in what the package has.
		migrated := flip.DeepCopy()
		if s.Migrate {
			migrated.Status.StoredVersions = s.StoredVersions
		}
		if final := applied(t, s.Final, migrated); !cmp.Equal(next.Spec, final.Spec) || len(final.Status.StoredVersions) != 1 {
			fail("ends in %s", words(final))
		}

		// Going back after the first step restores the old definition, and can be done twice.
		back, err := crd.Back(first, previous)
		if err != nil || !cmp.Equal(previous.Spec, back.Spec) {
			fail("back: %v", err)
			continue
		}
		restored := applied(t, back, first)
		if again, err := crd.Back(restored, previous); err != nil || !cmp.Equal(back, again) {
			fail("back twice: %v", err)
		}
		if !slices.Equal(restored.Status.StoredVersions, was.Status.StoredVersions) {
			fail("stored in %v after going back", restored.Status.StoredVersions)
		}

		// A step that was interrupted is the same when it is asked for again.
		for _, at := range []*definition{first, restored} {
			if again, err := crd.TwoStep(at, next); err != nil || !cmp.Equal(words(s.First), words(again.First)) || again.Migrate != s.Migrate || !cmp.Equal(s.Final, again.Final) {
				fail("asked again at %s: %v", words(at), err)
			}
		}
		if again, err := crd.TwoStep(first, next); err != nil || !cmp.Equal(s, again, ignoreStatus) {
			fail("asked again after the first step: %v\n%s", err, cmp.Diff(s, again))
		}
		if again, err := crd.TwoStep(flip, next); err != nil || !cmp.Equal(s.Flip, again.First) || again.Migrate != s.Migrate {
			fail("a commit that was begun goes on: %v", err)
		}
		if again, err := crd.TwoStep(migrated, next); err != nil || again.Migrate {
			fail("a commit that was done is done: %v", err)
		}
	}
}

func TestObject(t *testing.T) {
	d := live(read(t, "cert-manager/certificates-v1.20.3.yaml"))
	o, err := crd.Object(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := o.Object["status"]; ok {
		t.Error("status is the API server's")
	}
	back, err := crd.FromObject(o)
	if err != nil || !cmp.Equal(d.Spec, back.Spec) {
		t.Errorf("read back: %v\n%s", err, cmp.Diff(d.Spec, back.Spec))
	}
}
