package receiver

import "sync"

// rounds lets many who want the same thing at the same time share it. Unlike with a single flight, nobody is served by what began before
// they asked: they share the next round. So a burst of n calls costs two rounds, and none of them is forgotten.
type rounds struct {
	mu  sync.Mutex
	all map[string]*round
}

type round struct {
	turn           chan struct{} // one place, for who runs
	wanted, served uint64
	err            error
	guests         int
}

func newRounds() *rounds { return &rounds{all: map[string]*round{}} }

// do returns when run has been called after do was, and what it returned.
func (r *rounds) do(key string, run func() error) error {
	r.mu.Lock()
	it := r.all[key]
	if it == nil {
		it = &round{turn: make(chan struct{}, 1)}
		r.all[key] = it
	}
	it.guests++
	it.wanted++
	mine := it.wanted
	r.mu.Unlock()
	defer r.leave(key, it)

	it.turn <- struct{}{}
	defer func() { <-it.turn }()
	if it.served >= mine {
		return it.err
	}
	r.mu.Lock()
	upTo := it.wanted
	r.mu.Unlock()
	it.err = run()
	it.served = upTo
	return it.err
}

func (r *rounds) leave(key string, it *round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if it.guests--; it.guests == 0 {
		delete(r.all, key)
	}
}
