package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// profiler writes Go's profiles of the API server and of an engine that serves them, for `go tool pprof`. Profiling costs a little: its
// figures are for reading beside the profiles only.
type profiler struct {
	dir  string // nothing: no profiles
	span time.Duration
}

// cpu takes CPU profiles from now on for the profiler's span, beside what goes on.
func (p profiler) cpu(ctx context.Context, a *arena, e engine, scenario string) {
	if p.dir == "" {
		return
	}
	name := strings.ReplaceAll(fmt.Sprintf("%s-%s", scenario, e.name), " ", "-")
	path := fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(p.span.Seconds()))
	go func() {
		client, err := rest.HTTPClientFor(a.config)
		if err == nil {
			err = p.fetch(ctx, client, a.config.Host+path, name+"-apiserver.cpu")
		}
		p.tell(err)
	}()
	if e.name == "slipway" {
		go func() { p.tell(p.fetch(ctx, http.DefaultClient, "http://"+a.profiles+path, name+"-engine.cpu")) }()
	}
}

// heap writes what the engine keeps in memory.
func (p profiler) heap(ctx context.Context, a *arena, e engine, scenario string) {
	if p.dir == "" || e.name != "slipway" {
		return
	}
	name := strings.ReplaceAll(fmt.Sprintf("%s-%s-engine.heap", scenario, e.name), " ", "-")
	p.tell(p.fetch(ctx, http.DefaultClient, "http://"+a.profiles+"/debug/pprof/heap", name))
}

func (p profiler) fetch(ctx context.Context, client *http.Client, url, name string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	if err := os.MkdirAll(p.dir, 0o750); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(p.dir, name))
	if err != nil {
		return err
	}
	if _, err = io.Copy(file, response.Body); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func (p profiler) tell(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: profile:", err)
	}
}
