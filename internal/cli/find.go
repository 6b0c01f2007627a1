package cli

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// findAny reads an object of any kind. word is what kubectl would take for the kind: a kind, a resource, a short name, each with
// or without its group.
func (c *cluster) findAny(ctx context.Context, word, name string) (*unstructured.Unstructured, error) {
	mapping, err := c.resolve(word)
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(mapping.GroupVersionKind)
	key := client.ObjectKey{Name: name}
	where := "in the cluster"
	if mapping.Scope.Name() == apimeta.RESTScopeNameNamespace {
		key.Namespace = c.namespace
		where = fmt.Sprintf("in namespace %q; give its namespace with -n", c.namespace)
	}
	err = c.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s %q not found %s", mapping.GroupVersionKind.Kind, name, where)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %q: %w", mapping.GroupVersionKind.Kind, name, err)
	}
	return obj, nil
}

// resolve finds the resource that word means in this cluster.
func (c *cluster) resolve(word string) (*apimeta.RESTMapping, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.config.Host, err)
	}
	cached := memory.NewMemCacheClient(disco)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)

	full, short := schema.ParseResourceArg(word)
	if full != nil {
		if gvk, err := mapper.KindFor(*full); err == nil {
			return mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		}
	}
	gvk, err := mapper.KindFor(short.WithVersion(""))
	if err == nil {
		return mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if !apimeta.IsNoMatchError(err) {
		return nil, fmt.Errorf("ask which kinds the cluster serves: %w", err)
	}
	return nil, fmt.Errorf("this cluster has no kind %q; 'kubectl api-resources' lists those that it has", word)
}
