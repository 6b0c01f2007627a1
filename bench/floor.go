package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/control"
)

// floor is the least that the same objects cost: a bare client with 20 workers that writes them and nothing else. Each application's
// four are applied server-side, its two of Flux's kinds are created, suspended.
func floor(ctx context.Context, a *arena, n int) (result, error) {
	config := rest.CopyConfig(a.config)
	config.UserAgent = "floor"
	bare, err := dynamic.NewForConfig(config)
	if err != nil {
		return result{}, err
	}
	typed, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return result{}, err
	}
	w := a.measure(ctx, "create", n, engine{name: "floor", clients: []string{"floor"}}, &running{})
	err = each(ctx, n, func(ctx context.Context, i int) error {
		for _, obj := range suspend(a.pair(i)) {
			if err := typed.Create(ctx, obj); err != nil {
				return err
			}
		}
		for _, obj := range objects(i) {
			gvk := obj.GroupVersionKind()
			mapping, err := typed.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
			if err != nil {
				return err
			}
			body, err := json.Marshal(obj)
			if err != nil {
				return err
			}
			_, err = bare.Resource(mapping.Resource).Namespace(obj.GetNamespace()).Patch(ctx, obj.GetName(), types.ApplyPatchType, body,
				metav1.PatchOptions{FieldManager: "floor", Force: new(true)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return result{}, fmt.Errorf("write the objects: %w", err)
	}
	return w.end(0)
}

// each calls do for every i below n, with 20 workers, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	const workers = 20
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// settle returns when the API server and the controllers have been quiet for a moment.
func (a *arena) settle(ctx context.Context) {
	quiet := 0
	for range 120 {
		before := cpu(a.plane.PID(control.APIServer)) + cpu(a.plane.PID(control.ControllerManager))
		pause(ctx, 500*time.Millisecond)
		if cpu(a.plane.PID(control.APIServer))+cpu(a.plane.PID(control.ControllerManager))-before <= 30*time.Millisecond {
			quiet++
		} else {
			quiet = 0
		}
		if quiet == 3 || ctx.Err() != nil {
			return
		}
	}
}
