package attempt

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/slipway-dev/slipway/internal/kube"
)

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// removeNamespace deletes a namespace that the module has made, if nothing is in it that isn't ours: with a namespace goes all that is in it.
// Else it is left, and it is said why. One that was found, since it was there before the module, is only let go. It returns the namespace as
// long as it is on its way out.
func (t *task) removeNamespace(ctx context.Context, ref kube.Ref, ours, found []kube.Ref) ([]hanging, error) {
	if contains(found, ref) {
		return nil, t.releaseObject(ctx, ref)
	}
	live, err := t.head(ctx, ref)
	if err != nil || live == nil || live.Labels[OwnerLabel] != t.m.Name {
		return nil, err
	}
	if live.DeletionTimestamp != nil {
		return []hanging{{ref, live.Finalizers}}, nil
	}
	foreign, err := ForeignIn(ctx, t.Clients, t.m.Name, ref.Name, ours)
	if err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		t.tell(false, reasonKept, fmt.Sprintf("%s is kept: %s isn't the module's. To delete all of it: kubectl delete namespace %s",
			ref.Subject(), strings.Join(foreign, ", "), ref.Name))
		return nil, t.releaseObject(ctx, ref)
	}
	if _, err := t.Engine.Prune(ctx, []kube.Ref{ref}, t.options()); err != nil {
		return nil, err
	}
	return []hanging{{ref: ref}}, nil
}

// OwnerLabel is on the objects that a module has made, and names it.
const OwnerLabel = Group + "/name"

// ForeignIn names some objects in a namespace that aren't the module's and that Kubernetes doesn't make by itself: they keep the namespace when
// the module goes. Those of the kinds in going go before. Where it can't be told, that counts as some.
func ForeignIn(ctx context.Context, clients *kube.Clients, module, namespace string, ours []kube.Ref, going ...schema.GroupKind) ([]string, error) {
	cl, err := clients.For(kube.Identity{})
	if err != nil {
		return nil, err
	}
	kinds, err := KindsIn(cl)
	if err != nil {
		//nolint:nilerr // what can't be told counts as something
		return []string{"what a part of the API has in it, which doesn't answer (" + err.Error() + "),"}, nil
	}
	var foreign []string
	for _, k := range kinds {
		if len(foreign) >= maxNamed {
			return foreign[:maxNamed], nil
		}
		if slices.Contains(going, k.GroupKind()) {
			continue
		}
		objects, err := cl.Metadata.Resource(k.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 500})
		if apierrors.IsForbidden(err) {
			foreign = append(foreign, "any "+k.Kind+", which may not be listed,")
			continue
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("list what is in namespace %s: %w", namespace, err)
		}
		if err != nil {
			continue
		}
		for _, o := range objects.Items {
			one := kube.Ref{Group: k.Resource.Group, Kind: k.Kind, Namespace: namespace, Name: o.Name}
			if !standard(one) && len(o.OwnerReferences) == 0 && o.Labels[OwnerLabel] != module && !contains(ours, one) {
				foreign = append(foreign, one.Subject())
			}
		}
	}
	return foreign[:min(len(foreign), maxNamed)], nil
}

// KindIn is a kind whose objects keep a namespace.
type KindIn struct {
	Resource schema.GroupVersionResource
	Kind     string
}

// GroupKind is the kind without its version.
func (k KindIn) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: k.Resource.Group, Kind: k.Kind}
}

// KindsIn are the kinds that have to be listed before a namespace is deleted. Who may not list one of them keeps it.
func KindsIn(cl *kube.Client) ([]KindIn, error) {
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(cl.Config, cl.HTTP)
	if err != nil {
		return nil, err
	}
	served, err := discovery.ServerPreferredNamespacedResources(disco)
	if err != nil {
		return nil, err
	}
	var kinds []KindIn
	for _, l := range served {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range l.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") && !passing(gv.Group, r.Kind) {
				kinds = append(kinds, KindIn{Resource: gv.WithResource(r.Name), Kind: r.Kind})
			}
		}
	}
	// The order of the answer is another each time, and people and tests read what is named first.
	slices.SortFunc(kinds, func(a, b KindIn) int {
		return cmp.Or(strings.Compare(a.Resource.Group, b.Resource.Group), strings.Compare(a.Kind, b.Kind))
	})
	return kinds, nil
}

// passing are kinds whose objects come and go by themselves.
func passing(group, kind string) bool {
	switch kind {
	case "Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics", "ControllerRevision":
		return true
	}
	return group == "metrics.k8s.io"
}

// standard are objects that Kubernetes makes in every namespace.
func standard(ref kube.Ref) bool {
	return ref.Group == "" && (ref.Kind == "ServiceAccount" && ref.Name == "default" || ref.Kind == "ConfigMap" && ref.Name == "kube-root-ca.crt")
}

func contains(refs []kube.Ref, ref kube.Ref) bool {
	return slices.ContainsFunc(refs, func(r kube.Ref) bool { return r.Unversioned() == ref.Unversioned() })
}
