package delivery

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestRemoteClustersHaveHalfOfTheWorkers(t *testing.T) {
	t.Parallel()
	var woken []string
	s := newSeats(8, func(keys ...types.NamespacedName) {
		for _, k := range keys {
			woken = append(woken, k.Name)
		}
	})
	named := func(name string) types.NamespacedName { return types.NamespacedName{Name: name} }
	place := func(name string) kubeconfigRef { return kubeconfigRef{secret: name} }
	leaves := map[string]func(){}
	take := func(name, at string, want bool) {
		t.Helper()
		leave, ok := s.take(named(name), place(at))
		if ok != want {
			t.Fatalf("%s of %s: a seat: %v, want %v", name, at, ok, want)
		}
		leaves[name] = leave
	}
	take("a1", "a", true)
	take("a2", "a", true)
	take("a3", "a", false) // two for each
	take("b1", "b", true)
	take("c1", "c", true)
	take("d1", "d", false) // four for all
	take("d1", "d", false) // woken by something else it stays where it is in line
	take("e1", "e", false)
	leaves["c1"]()
	if !slices.Equal(woken, []string{"d1"}) {
		t.Fatalf("woken: %v, want the first in line whose cluster has a seat left", woken)
	}
	s.pass(named("d1")) // it was deleted meanwhile
	take("e1", "e", true)
	leaves["a1"]()
	take("a3", "a", true)
	if !slices.Equal(woken, []string{"d1", "e1", "a3"}) || len(s.line) > 0 || len(s.called) > 0 {
		t.Errorf("woken: %v, in line: %v, called: %v", woken, s.line, s.called)
	}
	for _, name := range []string{"a2", "b1", "e1", "a3"} {
		leaves[name]()
	}
	if s.used != 0 || len(s.at) != 0 {
		t.Errorf("seats are lost: %d, %v", s.used, s.at)
	}
}
