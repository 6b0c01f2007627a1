package oci

import "sync"

// memo remembers a bounded number of things. When it is full all of it is forgotten: what is in it only saves work.
type memo[T any] struct {
	most int

	mu  sync.Mutex
	all map[string]T
}

func newMemo[T any](most int) *memo[T] { return &memo[T]{most: most, all: map[string]T{}} }

func (m *memo[T]) get(key string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.all[key]
	return v, ok
}

func (m *memo[T]) put(key string, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) >= m.most {
		clear(m.all)
	}
	m.all[key] = v
}
