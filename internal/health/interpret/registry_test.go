package interpret

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/health"
)

var boatV1 = schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Boat"}

func says(t testing.TB, word string, target Target, prio int32) *Interpreter {
	t.Helper()
	return compiled(t, Definition{Target: target, Priority: priority(prio), Health: []Rule{{State: health.Healthy, Reason: word}}})
}

func TestRegistryPrecedence(t *testing.T) {
	versions := func(v ...string) Target { return Target{Group: "example.org", Kind: "Boat", Versions: v} }
	type named struct {
		name   string
		target Target
		prio   int32
	}
	cases := map[string]struct {
		reason string
		have   []named
		want   string // reason of the verdict
	}{
		"Priority": {
			reason: "local before platform before package, however exact the others are",
			have:   []named{{"A", versions("v1"), PriorityPackage}, {"B", boat, PriorityLocal}, {"C", versions("v1"), PriorityPlatform}},
			want:   "B",
		},
		"Version": {
			reason: "among equals, the one that names the version",
			have:   []named{{"A", boat, 100}, {"B", versions("v1"), 100}, {"C", versions("v1", "v2"), 100}},
			want:   "B",
		},
		"OtherVersion": {
			reason: "one that is for other versions does not count",
			have:   []named{{"A", boat, 100}, {"B", versions("v2"), PriorityLocal}},
			want:   "A",
		},
		"Kind": {
			reason: "a kind by its name before all kinds of a group before groups that end alike",
			have: []named{
				{"A", Target{Group: "*.org", Kind: "*"}, 100}, {"B", Target{Group: "example.org", Kind: "*"}, 100}, {"C", boat, 100}, {"D", Target{Group: "*.org", Kind: "Boat"}, 100},
			},
			want: "C",
		},
		"Many": {
			reason: "one for many kinds is used, too, and its priority counts",
			have:   []named{{"A", boat, 100}, {"B", Target{Group: "*.org", Kind: "*"}, PriorityPlatform}},
			want:   "B",
		},
		"Name": {
			reason: "of all the same, the name decides, so that it does not depend on who came first",
			have:   []named{{"C", boat, 100}, {"B", boat, 100}},
			want:   "B",
		},
		"None": {
			reason: "without one, what is built in decides",
			have:   []named{{"A", Target{Group: "example.org", Kind: "Ship"}, PriorityLocal}, {"B", Target{Group: "*.example.org", Kind: "*"}, PriorityLocal}},
			want:   "Current",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := NewRegistry()
			for _, n := range tc.have {
				r.Set("of-"+n.name, says(t, n.name, n.target, n.prio))
			}
			if got := r.Assess(object(t, afloat)); got.Reason != tc.want {
				t.Errorf("%s: got %+v, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestRegistrySetAndDelete(t *testing.T) {
	r := NewRegistry()
	r.Set("one", says(t, "First", boat, 100))
	r.Set("one", says(t, "Second", boat, 100))
	if got := r.Assess(object(t, afloat)); got.Reason != "Second" {
		t.Errorf("the same name is the same interpreter: got %+v", got)
	}
	if !r.NeedsBody(boatV1) {
		t.Error("what is interpreted is needed whole")
	}
	if _, who := r.Interpret(object(t, afloat)); who != "one" {
		t.Errorf("said by %q", who)
	}
	r.Delete("one")
	if got := r.Assess(object(t, afloat)); got.Reason != "Current" {
		t.Errorf("it was forgotten: got %+v", got)
	}
}

// A cluster without interpreters, and a nil registry, judge as package health does.
func TestRegistryFallsBack(t *testing.T) {
	config := object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}")
	for name, r := range map[string]*Registry{"nil": nil, "zero": {}, "new": NewRegistry()} {
		if got := r.Assess(config); got != health.Assess(config) {
			t.Errorf("%s: got %+v", name, got)
		}
		if r.NeedsBody(config.GroupVersionKind()) {
			t.Errorf("%s: a ConfigMap needs no body", name)
		}
		if got := r.Assess(nil); got.State != health.Unknown {
			t.Errorf("%s: nothing is %+v", name, got)
		}
		if got, who := r.Interpret(&unstructured.Unstructured{}); who != "" || got.Health.State != health.Unknown {
			t.Errorf("%s: nothing is %+v, said by %q", name, got, who)
		}
	}
}

// What is ready-made is asked last, and is not compiled before it is needed.
func TestReadyMadeComesLast(t *testing.T) {
	file := func(kind, spec string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: x}\nspec:\n  target: {group: example.org, kind: " + kind + "}\n" + spec)}
	}
	ready, err := FromFiles(fstest.MapFS{
		"Boat.example.org.yaml": file("Boat", "  health: [{state: Healthy, reason: ReadyMade}]\n"),
		"Ship.example.org.yaml": file("Ship", "  version: self.spec.version\n"),
		"Bad.example.org.yaml":  file("Bad", "  version: self.(\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRegistry(ready...)
	if got := r.Assess(object(t, afloat)); got.Reason != "ReadyMade" {
		t.Errorf("got %+v", got)
	}
	r.Set("own", says(t, "Own", boat, 0))
	if got := r.Assess(object(t, afloat)); got.Reason != "Own" {
		t.Errorf("every other one comes first: got %+v", got)
	}
	ship := object(t, "apiVersion: example.org/v1\nkind: Ship\nmetadata: {name: s}\nspec: {version: v7}")
	if got, who := r.Interpret(ship); got.Version != "v7" || got.Health != health.Assess(ship) || who != "Ship.example.org" {
		t.Errorf("got %+v, said by %s", got, who)
	}
	bad := object(t, "apiVersion: example.org/v1\nkind: Bad\nmetadata: {name: s}")
	if got, _ := r.Interpret(bad); got.Health != health.Assess(bad) {
		t.Errorf("a file that is wrong says nothing: got %+v", got)
	}
}

func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	r := NewRegistry()
	one, other := says(t, "One", boat, 100), says(t, "Other", boat, 200)
	obj := object(t, afloat)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for range 200 {
				r.Set(fmt.Sprint("one", n), one)
				r.Set(fmt.Sprint("other", n), other)
				r.Delete(fmt.Sprint("other", n))
			}
		})
		all.Go(func() {
			for range 200 {
				if got := r.Assess(obj); got.State != health.Healthy {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	all.Wait()
	if got := r.Assess(obj); got.Reason != "One" {
		t.Errorf("got %+v", got)
	}
}

// Objects of kinds without an interpreter must not pay for those that have one.
func TestRegistryCostsNothingForOthers(t *testing.T) {
	r := NewRegistry()
	for n := range 200 {
		r.Set(fmt.Sprint(n), says(t, "X", Target{Group: "example.org", Kind: fmt.Sprintf("Kind%d", n)}, 100))
	}
	obj := object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}")
	direct := testing.AllocsPerRun(100, func() { health.Assess(obj) })
	through := testing.AllocsPerRun(100, func() { r.Assess(obj) })
	if through > direct {
		t.Errorf("%v allocations through a registry, %v without", through, direct)
	}
}

func BenchmarkAssess(b *testing.B) {
	deployment := object(b, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, generation: 1}\nspec: {replicas: 1}\n"+
		"status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1, conditions: [{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}")
	r := NewRegistry()
	r.Set("boat", says(b, "Afloat", boat, 100))
	b.Run("built in", func(b *testing.B) {
		for b.Loop() {
			health.Assess(deployment)
		}
	})
	b.Run("built in, through a registry", func(b *testing.B) {
		for b.Loop() {
			r.Assess(deployment)
		}
	})
	interpreted := object(b, afloat)
	b.Run("interpreted", func(b *testing.B) {
		for b.Loop() {
			r.Assess(interpreted)
		}
	})
}

// Who watches the registry is told of the kinds that are judged by somebody else now, and of no others.
func TestRegistryTellsWhatChanged(t *testing.T) {
	r := NewRegistry()
	var changed []bool
	other := schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Ship"}
	stop := r.Watch(func(c Changed) { changed = []bool{c(boatV1), c(other)} })
	steps := []struct {
		reason string
		do     func()
		want   []bool // nil: nothing is told
	}{
		{"the first for the kind", func() { r.Set("a", says(t, "A", boat, 100)) }, []bool{true, false}},
		{"one with a lower priority is not asked", func() { r.Set("b", says(t, "B", boat, 50)) }, []bool{false, false}},
		{"the same name in another wording", func() { r.Set("a", says(t, "Anew", boat, 100)) }, []bool{true, false}},
		{"what is not asked goes", func() { r.Delete("b") }, []bool{false, false}},
		{"what is not there goes", func() { r.Delete("c") }, nil},
		{"another version of the kind", func() {
			r.Set("v2", says(t, "V2", Target{Group: "example.org", Kind: "Boat", Versions: []string{"v2"}}, 200))
		}, []bool{false, false}},
		{"the last one goes", func() { r.Delete("a") }, []bool{true, false}},
		{"nobody watches any more", func() { stop(); r.Set("a", says(t, "A", boat, 100)) }, nil},
	}
	for _, s := range steps {
		changed = nil
		if s.do(); !slices.Equal(changed, s.want) {
			t.Errorf("%s: told %v, want %v", s.reason, changed, s.want)
		}
	}
}

func TestRegistryNamesTheRival(t *testing.T) {
	versions := func(v ...string) Target { return Target{Group: "example.org", Kind: "Boat", Versions: v} }
	cases := map[string]struct {
		reason string
		rival  Target
		prio   int32
		want   bool
	}{
		"Higher":      {"the same kind with a higher priority", boat, 200, true},
		"Equal":       {"of equal ones the name decides", boat, 100, true},
		"Lower":       {"a lower priority", boat, 50, false},
		"OneVersion":  {"for one version only: the rest is still asked", versions("v1"), 200, false},
		"OtherKind":   {"another kind", Target{Group: "example.org", Kind: "Ship"}, 200, false},
		"WholeGroup":  {"all kinds of the group", Target{Group: "example.org", Kind: "*"}, 200, true},
		"WholeDomain": {"all groups that end so", Target{Group: "*.org", Kind: "Boat"}, 200, true},
		"OtherDomain": {"other groups", Target{Group: "*.com", Kind: "Boat"}, 200, false},
	}
	for name, tc := range cases {
		r := NewRegistry()
		r.Set("mine", says(t, "Mine", boat, 100))
		r.Set("his", says(t, "His", tc.rival, tc.prio))
		if got, ok := r.Rival("mine"); ok != tc.want || ok && got != "his" {
			t.Errorf("%s: %s: got %q, %t", name, tc.reason, got, ok)
		}
	}
	r := NewRegistry()
	r.Set("mine", says(t, "Mine", versions("v1"), 100))
	r.Set("his", says(t, "His", versions("v1", "v2"), 200))
	if got, ok := r.Rival("mine"); !ok || got != "his" {
		t.Errorf("all versions that it is for: got %q, %t", got, ok)
	}
	if _, ok := r.Rival("nobody"); ok {
		t.Error("who was never set has no rival")
	}
}
