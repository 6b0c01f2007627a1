package observe

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/slipway-dev/slipway/internal/kube"
)

// resource is what client-go's clients for whole objects and for metadata have in common, but for the type of their lists.
type resource[List runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (List, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// reading makes a lister of a resource.
type reading[List runtime.Object] struct{ api resource[List] }

func (r reading[List]) list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	return r.api.List(ctx, opts)
}

func (r reading[List]) watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	return r.api.Watch(ctx, opts)
}

type (
	// bodies lists whole objects.
	bodies = reading[*unstructured.UnstructuredList]
	// heads lists objects without their bodies.
	heads = reading[*metav1.PartialObjectMetadataList]
)

// listerFor returns what reads a place.
func (p *Pool) listerFor(k key, m *meta.RESTMapping) (lister, error) {
	client, err := p.clients.For(k.id)
	if err != nil {
		return nil, err
	}
	return listerOf(client, k, m, !k.every && (p.opts.NeedsBody == nil || p.opts.NeedsBody(k.gvk))), nil
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
