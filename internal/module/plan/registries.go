package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-dev/slipway/internal/source/oci"
)

const (
	// askWithin bounds how long a registry may think about one image.
	askWithin = 5 * time.Second
	// silentFor is how long a registry isn't asked again that has given no answer: in a cluster without a way out each image would take its time.
	silentFor = 10 * time.Minute
)

// Registries asks registries for images, without a login: the nodes have their own. It implements Images, and is safe for concurrent use.
type Registries struct {
	client   *oci.Client
	insecure []string
	now      func() time.Time

	mu     sync.Mutex
	silent map[string]time.Time // hosts that gave no answer, and until when they aren't asked
}

// NewRegistries returns what asks registries; insecure are the hosts of those that may answer without TLS.
func NewRegistries(client *oci.Client, insecure []string, now func() time.Time) *Registries {
	return &Registries{client: client, insecure: insecure, now: now, silent: map[string]time.Time{}}
}

// Platforms implements Images.
func (r *Registries) Platforms(ctx context.Context, image string) ([]string, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no name of an image", ErrNoImage)
	}
	host := ref.Context().RegistryStr()
	if r.isSilent(host) {
		return nil, ErrAskedInVain
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	found, err := r.client.Platforms(within, image, oci.Auth{}, slices.Contains(r.insecure, host))
	switch {
	case errors.Is(err, oci.ErrNoImage):
		return nil, ErrNoImage
	case err != nil: // whoever names images must not learn from this what answers where
		if within.Err() != nil && ctx.Err() == nil {
			r.keepSilent(host)
		}
		return nil, ErrAskedInVain
	}
	return found, nil
}

func (r *Registries) isSilent(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Before(r.silent[host])
}

func (r *Registries) keepSilent(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	maps.DeleteFunc(r.silent, func(_ string, until time.Time) bool { return until.Before(now) })
	r.silent[host] = now.Add(silentFor)
}
