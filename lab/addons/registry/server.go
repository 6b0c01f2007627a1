package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"time"

	upstream "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"
)

// drain is how long requests that are under way may take when the server stops.
const drain = 2 * time.Second

// New returns a registry that keeps everything in dir and serves what an
// earlier one left there.
func New(dir string) (http.Handler, error) {
	store, err := newBlobs(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, err
	}
	inner := upstream.New(
		upstream.WithBlobHandler(store),
		upstream.WithReferrersSupport(true),
		upstream.Logger(log.New(io.Discard, "", 0)),
	)
	recorded, err := newManifests(filepath.Join(dir, "manifests"), inner)
	if err != nil {
		return nil, err
	}
	return mirror(recorded), nil
}

// Serve answers plain HTTP on every address until ctx ends, which is not an
// error. When one address can't be had, none is served.
func Serve(ctx context.Context, handler http.Handler, addresses []string) error {
	listeners, err := listenAll(ctx, addresses)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	group, ctx := errgroup.WithContext(ctx)
	for _, listener := range listeners {
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			return server.Close()
		}
		return nil
	})
	return group.Wait()
}

func listenAll(ctx context.Context, addresses []string) ([]net.Listener, error) {
	var config net.ListenConfig
	var listeners []net.Listener
	for _, address := range addresses {
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}
