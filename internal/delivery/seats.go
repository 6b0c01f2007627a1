package delivery

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// seatsEach is how many workers the Kustomizations of one kubeconfig may hold at once. All kubeconfigs together may hold half of the workers:
// how long a remote cluster takes to answer is up to whoever runs it, and what is applied at home must not wait for it.
const seatsEach = 2

// seats bound the workers that Kustomizations of remote clusters hold. Who finds none free waits in line, without a worker.
type seats struct {
	all  int
	wake func(...types.NamespacedName)

	mu   sync.Mutex
	used int
	at   map[kubeconfigRef]int
	line []waiter
	// called are those who were woken because there is a seat for them, and have not come yet.
	called map[types.NamespacedName]struct{}
}

type waiter struct {
	key types.NamespacedName
	at  kubeconfigRef
}

func newSeats(workers int, wake func(...types.NamespacedName)) *seats {
	return &seats{all: max(1, workers/2), wake: wake, at: map[kubeconfigRef]int{}, called: map[types.NamespacedName]struct{}{}}
}

// take gives a seat to a Kustomization, until leave is called. Without one it is woken when its turn has come.
func (s *seats) take(key types.NamespacedName, at kubeconfigRef) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.called, key)
	waits := slices.IndexFunc(s.line, func(w waiter) bool { return w.key == key })
	if s.used >= s.all || s.at[at] >= seatsEach {
		if waits < 0 {
			s.line = append(s.line, waiter{key, at})
		}
		return nil, false
	}
	if waits >= 0 {
		s.line = slices.Delete(s.line, waits, waits+1)
	}
	s.used++
	s.at[at]++
	return func() { s.leave(at) }, true
}

func (s *seats) leave(at kubeconfigRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.at[at]--; s.at[at] == 0 {
		delete(s.at, at)
	}
	s.call()
}

// pass lets the next one have the seat of who was called and needs none any more.
func (s *seats) pass(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = slices.DeleteFunc(s.line, func(w waiter) bool { return w.key == key })
	if _, ok := s.called[key]; ok {
		delete(s.called, key)
		s.call()
	}
}

// call wakes the first in line for whom there is a seat. It needs s.mu held.
func (s *seats) call() {
	if next := slices.IndexFunc(s.line, func(w waiter) bool { return s.at[w.at] < seatsEach }); next >= 0 && s.used < s.all {
		key := s.line[next].key
		s.line = slices.Delete(s.line, next, next+1)
		s.called[key] = struct{}{}
		s.wake(key)
	}
}
