package receiver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// byPath is the index of the cache by which a webhook finds its Receiver.
const byPath = "slipway.dev/webhook-path"

// pathLength is the length of /hook/ and a SHA-256 in hexadecimal.
const pathLength = len(apiv1.ReceiverWebhookPath) + 2*sha256.Size

// paths turns addresses into keys of the index. An address is a secret; it is looked up by its HMAC under a key that only this process
// has, so how long a lookup takes says nothing about how much of a guessed address is right.
type paths struct{ key [sha256.Size]byte }

func newPaths() *paths {
	p := &paths{}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

func (p *paths) of(path string) string {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(path))
	return hex.EncodeToString(mac.Sum(nil))
}

func (p *paths) index(obj client.Object) []string {
	if path := obj.(*apiv1.Receiver).Status.WebhookPath; path != "" {
		return []string{p.of(path)}
	}
	return nil
}

// find returns the Receiver with an address, or nil. Where several have the same token and names that make the same text when they are put
// together, the first one by namespace and name counts.
func (r *Reconciler) find(ctx context.Context, path string) (*apiv1.Receiver, error) {
	if len(path) != pathLength || !strings.HasPrefix(path, apiv1.ReceiverWebhookPath) {
		return nil, nil //nolint:nilnil // there is none
	}
	var found apiv1.ReceiverList
	if err := r.client.List(ctx, &found, client.MatchingFields{byPath: r.paths.of(path)}); err != nil {
		return nil, fmt.Errorf("look for the Receiver: %w", err)
	}
	var first *apiv1.Receiver
	for i := range found.Items {
		if it := &found.Items[i]; first == nil || it.Namespace+"/"+it.Name < first.Namespace+"/"+first.Name {
			first = it
		}
	}
	return first, nil
}
