package observe

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/slipway-dev/slipway/internal/kube"
)

// bodies lists whole objects.
type bodies struct{ api dynamic.ResourceInterface }

func (b bodies) list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	return b.api.List(ctx, opts)
}

func (b bodies) watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	return b.api.Watch(ctx, opts)
}

// heads lists objects without their bodies.
type heads struct{ api metadata.ResourceInterface }

func (h heads) list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	return h.api.List(ctx, opts)
}

func (h heads) watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	return h.api.Watch(ctx, opts)
}

// listerFor returns what reads a place.
func (p *Pool) listerFor(k key, m *meta.RESTMapping) (lister, error) {
	client, err := p.clients.For(k.id)
	if err != nil {
		return nil, err
	}
	return listerOf(client, k, m, p.opts.NeedsBody == nil || p.opts.NeedsBody(k.gvk)), nil
}

func listerOf(client *kube.Client, k key, m *meta.RESTMapping, whole bool) lister {
	if whole {
		api := client.Dynamic.Resource(m.Resource)
		if k.namespace != "" {
			return bodies{api.Namespace(k.namespace)}
		}
		return bodies{api}
	}
	api := client.Metadata.Resource(m.Resource)
	if k.namespace != "" {
		return heads{api.Namespace(k.namespace)}
	}
	return heads{api}
}
