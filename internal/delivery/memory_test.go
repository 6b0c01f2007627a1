package delivery

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestMemoryWakesThoseConcerned(t *testing.T) {
	m := newMemory()
	a, b := types.NamespacedName{Namespace: "n", Name: "a"}, types.NamespacedName{Namespace: "n", Name: "b"}
	shared, own := kube.Ref{Kind: "ConfigMap", Namespace: "n", Name: "shared"}, kube.Ref{Kind: "ConfigMap", Namespace: "n", Name: "own"}
	m.of(a)
	m.of(b)
	m.follow(a, []kube.Ref{shared, own})
	m.follow(b, []kube.Ref{shared})

	if got := len(m.touch(shared)); got != 2 {
		t.Errorf("a shared object wakes %d, want 2", got)
	}
	if got := m.touch(own); len(got) != 1 || got[0] != a {
		t.Errorf("a's object wakes %v, want a", got)
	}
	touched, _ := m.of(a).takeTouched()
	if _, ok := touched[own]; !ok {
		t.Error("what was touched must be told")
	}
	if got, _ := m.of(a).takeTouched(); len(got) != 0 {
		t.Errorf("touched twice: %v", got)
	}

	m.follow(a, []kube.Ref{shared})
	if got := m.touch(own); len(got) != 0 {
		t.Errorf("an object that left the set wakes %v", got)
	}
	m.forget(a)
	m.forget(b)
	if len(m.byRef)+len(m.refs)+len(m.entries) != 0 {
		t.Errorf("something is left of the forgotten: %v %v %v", m.byRef, m.refs, m.entries)
	}
}
