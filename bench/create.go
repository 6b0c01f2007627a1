package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// create: the engine runs; n applications are created, each with a source of its own; until all are Ready.
func create(ctx context.Context, a *arena, e engine, n int) ([]result, error) {
	r, err := a.start(ctx, e, true)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	a.settle(ctx)
	w := a.measure(ctx, "create", n, e, r)
	if err := a.createPairs(ctx, n); err != nil {
		return nil, err
	}
	out, err := a.finish(ctx, w, n)
	if err != nil {
		return nil, err
	}
	a.settle(ctx)
	again, err := a.noop(ctx, e, r, n)
	return append(out, again...), err
}

// there: n applications are there when the engine starts; until all are Ready.
func there(ctx context.Context, a *arena, e engine, n int) ([]result, error) {
	if err := a.createPairs(ctx, n); err != nil {
		return nil, err
	}
	a.settle(ctx)
	w := a.measure(ctx, "start", n, e, &running{})
	r, err := a.start(ctx, e, false)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	w.r = r
	return a.finish(ctx, w, n)
}

func (a *arena) createPairs(ctx context.Context, n int) error {
	err := each(ctx, n, func(ctx context.Context, i int) error {
		for _, obj := range a.pair(i) {
			if err := a.client.Create(ctx, obj); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("create the applications: %w", err)
	}
	return nil
}

// finish waits until all are Ready. An engine that doesn't get there has all of its time, and a note that says so.
func (a *arena) finish(ctx context.Context, w *window, n int) ([]result, error) {
	last, err := a.tracker.await(ctx, n, isReady)
	short, given := errors.AsType[*unfinished](err)
	if given {
		last, err = time.Now(), nil
	}
	if err != nil {
		return nil, err
	}
	r, err := w.end(last.Sub(w.began))
	if given {
		r.Note = fmt.Sprintf("given up: %d of %d are Ready", short.count, short.n)
	}
	return []result{r}, err
}

// noop: each Kustomization is asked to reconcile although nothing changed.
func (a *arena) noop(ctx context.Context, e engine, r *running, n int) ([]result, error) {
	n = min(n, 100)
	token := time.Now().Format(time.RFC3339Nano)
	w := a.measure(ctx, "noop", n, e, r)
	wanted := map[string]bool{}
	for i := range n {
		wanted[appName(i)] = true
	}
	if err := each(ctx, n, func(ctx context.Context, i int) error { return a.ask(ctx, appName(i), token) }); err != nil {
		return nil, err
	}
	last, err := a.tracker.await(ctx, n, func(name string, s seen) bool { return wanted[name] && s.handled == token && s.ready })
	if err != nil {
		return nil, err
	}
	out, err := w.end(last.Sub(w.began))
	return []result{out}, err
}
