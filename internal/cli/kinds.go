package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/health"
)

// delivered is an object of one of the kinds that Slipway reconciles.
type delivered interface {
	client.Object
	GetConditions() []metav1.Condition
}

// kind is one of the kinds that Slipway reconciles or reads from, and what the verbs must know of it.
type kind struct {
	name      string   // as in a manifest
	group     string   // the API group
	resource  string   // as in the API's addresses
	sourceAs  string   // for those that others take files from: what the flux CLI has after "source"
	words     []string // what people type for it: singular, plural, then short ones
	newObject func() delivered
	newList   func() client.ObjectList
	suspended func(delivered) *bool // the field that suspends it; nil: it can't be suspended, and nobody reconciles it
	revision  func(delivered) string
	handled   func(delivered) string // the last reconcile request that was answered; nil with suspended
}

func kustomizationKind() kind {
	return kind{
		name:      kustomizev1.KustomizationKind,
		group:     kustomizev1.GroupVersion.Group,
		resource:  "kustomizations",
		words:     []string{"kustomization", "kustomizations", "ks"},
		newObject: func() delivered { return &kustomizev1.Kustomization{} },
		newList:   func() client.ObjectList { return &kustomizev1.KustomizationList{} },
		suspended: func(o delivered) *bool { return &o.(*kustomizev1.Kustomization).Spec.Suspend },
		revision:  func(o delivered) string { return o.(*kustomizev1.Kustomization).Status.LastAppliedRevision },
		handled:   func(o delivered) string { return o.(*kustomizev1.Kustomization).Status.LastHandledReconcileAt },
	}
}

func gitRepositoryKind() kind {
	return kind{
		name:      sourcev1.GitRepositoryKind,
		group:     sourcev1.GroupVersion.Group,
		resource:  "gitrepositories",
		sourceAs:  "git",
		words:     []string{"gitrepository", "gitrepositories", "gitrepo", "git"},
		newObject: func() delivered { return &sourcev1.GitRepository{} },
		newList:   func() client.ObjectList { return &sourcev1.GitRepositoryList{} },
		suspended: func(o delivered) *bool { return &o.(*sourcev1.GitRepository).Spec.Suspend },
		revision:  func(o delivered) string { return artifactRevision(o.(*sourcev1.GitRepository).Status.Artifact) },
		handled:   func(o delivered) string { return o.(*sourcev1.GitRepository).Status.LastHandledReconcileAt },
	}
}

func ociRepositoryKind() kind {
	return kind{
		name:      sourcev1.OCIRepositoryKind,
		group:     sourcev1.GroupVersion.Group,
		resource:  "ocirepositories",
		sourceAs:  "oci",
		words:     []string{"ocirepository", "ocirepositories", "ocirepo", "oci"},
		newObject: func() delivered { return &sourcev1.OCIRepository{} },
		newList:   func() client.ObjectList { return &sourcev1.OCIRepositoryList{} },
		suspended: func(o delivered) *bool { return &o.(*sourcev1.OCIRepository).Spec.Suspend },
		revision:  func(o delivered) string { return artifactRevision(o.(*sourcev1.OCIRepository).Status.Artifact) },
		handled:   func(o delivered) string { return o.(*sourcev1.OCIRepository).Status.LastHandledReconcileAt },
	}
}

func bucketKind() kind {
	return kind{
		name:      sourcev1.BucketKind,
		group:     sourcev1.GroupVersion.Group,
		resource:  "buckets",
		sourceAs:  "bucket",
		words:     []string{"bucket", "buckets"},
		newObject: func() delivered { return &sourcev1.Bucket{} },
		newList:   func() client.ObjectList { return &sourcev1.BucketList{} },
		suspended: func(o delivered) *bool { return &o.(*sourcev1.Bucket).Spec.Suspend },
		revision:  func(o delivered) string { return artifactRevision(o.(*sourcev1.Bucket).Status.Artifact) },
		handled:   func(o delivered) string { return o.(*sourcev1.Bucket).Status.LastHandledReconcileAt },
	}
}

// externalArtifactKind is only looked at: whoever made the object fetches for it.
func externalArtifactKind() kind {
	return kind{
		name:      sourcev1.ExternalArtifactKind,
		group:     sourcev1.GroupVersion.Group,
		resource:  "externalartifacts",
		sourceAs:  "external",
		words:     []string{"externalartifact", "externalartifacts", "external"},
		newObject: func() delivered { return &sourcev1.ExternalArtifact{} },
		newList:   func() client.ObjectList { return &sourcev1.ExternalArtifactList{} },
		revision:  func(o delivered) string { return artifactRevision(o.(*sourcev1.ExternalArtifact).Status.Artifact) },
	}
}

// receiverKind has a webhook's path where others have a revision: it is what people look for.
func receiverKind() kind {
	return kind{
		name:      notificationv1.ReceiverKind,
		group:     notificationv1.GroupVersion.Group,
		resource:  "receivers",
		words:     []string{"receiver", "receivers"},
		newObject: func() delivered { return &notificationv1.Receiver{} },
		newList:   func() client.ObjectList { return &notificationv1.ReceiverList{} },
		suspended: func(o delivered) *bool { return &o.(*notificationv1.Receiver).Spec.Suspend },
		revision:  func(o delivered) string { return o.(*notificationv1.Receiver).Status.WebhookPath },
		handled:   func(o delivered) string { return o.(*notificationv1.Receiver).Status.LastHandledReconcileAt },
	}
}

// isSuspended reports whether obj doesn't follow its source for now.
func (k kind) isSuspended(obj delivered) bool { return k.suspended != nil && *k.suspended(obj) }

// mayReconcile says what to do instead where nobody reconciles the kind.
func (k kind) mayReconcile() error {
	if k.suspended != nil {
		return nil
	}
	return fmt.Errorf("a %s is written by another controller, and can't be reconciled, suspended or resumed here; "+
		"reconcile the Kustomization that uses it, or what spec.sourceRef of it names", k.name)
}

func artifactRevision(artifact *meta.Artifact) string {
	if artifact == nil {
		return ""
	}
	return artifact.Revision
}

// list reads the objects of the kind, sorted by namespace and name as the API server returns them.
func (k kind) list(ctx context.Context, c client.Reader, opts ...client.ListOption) ([]delivered, error) {
	items, _, err := k.listAt(ctx, c, opts...)
	return items, err
}

// listAt is list, with the resource version from which a watch goes on.
func (k kind) listAt(ctx context.Context, c client.Reader, opts ...client.ListOption) ([]delivered, string, error) {
	list := k.newList()
	if err := c.List(ctx, list, opts...); err != nil {
		return nil, "", fmt.Errorf("list %s: %w", k.words[1], err)
	}
	var items []delivered
	err := apimeta.EachListItem(list, func(obj runtime.Object) error {
		items = append(items, obj.(delivered))
		return nil
	})
	return items, list.GetResourceVersion(), err
}

// stateSuspended is the state of an object of ours that doesn't follow Git for now.
const stateSuspended health.State = "Suspended"

// verdict judges an object for people, everywhere with the same words. Objects of our own kinds are told from their Ready condition:
// one that fails and is tried again is Degraded to whoever looks, while health.Assess, which waits use, has hope for it.
func verdict(obj *unstructured.Unstructured) (health.State, string) {
	assessed := health.Assess(obj)
	gk := obj.GroupVersionKind().GroupKind()
	ours := slices.ContainsFunc(kinds(), func(k kind) bool { return k.name == gk.Kind && k.group == gk.Group })
	if !ours || obj.GetDeletionTimestamp() != nil {
		return assessed.State, assessed.Message
	}
	if suspended, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend"); suspended {
		return stateSuspended, "suspended; 'slipway resume' follows Git again"
	}
	var status struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	if raw, ok := obj.Object["status"].(map[string]any); ok {
		// What can't be read has no Ready condition either.
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &status)
	}
	ready := apimeta.FindStatusCondition(status.Conditions, meta.ReadyCondition)
	current := ready != nil && (ready.ObservedGeneration == 0 || ready.ObservedGeneration == obj.GetGeneration())
	if current && ready.Status == metav1.ConditionFalse {
		return health.Degraded, ready.Message
	}
	return assessed.State, assessed.Message
}

// verdictOfDelivered is verdict of an object that was read as what it is.
func verdictOfDelivered(k kind, obj delivered) (health.State, string) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return health.Unknown, err.Error()
	}
	whole := &unstructured.Unstructured{Object: fields}
	// A typed object that was read has lost what it is; the version plays no part in a verdict.
	whole.SetGroupVersionKind(schema.GroupVersionKind{Group: k.group, Version: "v1", Kind: k.name})
	return verdict(whole)
}

// kinds lists what Slipway reconciles, sources first, as one thinks of the way from Git to the cluster.
func kinds() []kind { return append(sourceKinds(), kustomizationKind(), receiverKind()) }

// sourceKinds are those that others take files from.
func sourceKinds() []kind {
	return []kind{gitRepositoryKind(), ociRepositoryKind(), bucketKind(), externalArtifactKind()}
}

// kindNamed finds the kind that people mean by word.
func kindNamed(word string) (kind, error) {
	for _, k := range kinds() {
		if slices.Contains(k.words, strings.ToLower(word)) {
			return k, nil
		}
	}
	var known []string
	for _, k := range kinds() {
		known = append(known, k.words[0])
	}
	return kind{}, usagef("unknown kind %q: use source, or one of %s", word, strings.Join(known, ", "))
}

// kindOf finds the kind of a reference, such as spec.sourceRef.
func kindOf(name string) (kind, bool) {
	at := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == name })
	if at < 0 {
		return kind{}, false
	}
	return kinds()[at], true
}

// get reads one object of the kind. Where it isn't there, the error names the others that are.
func (c *cluster) get(ctx context.Context, k kind, namespace, name string) (delivered, error) {
	obj := k.newObject()
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return nil, c.notFound(ctx, k, namespace, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", k.name, namespace, name, err)
	}
	return obj, nil
}

func (c *cluster) notFound(ctx context.Context, k kind, namespace, name string) error {
	hint := fmt.Sprintf("'slipway get %s -A' lists those of all namespaces", k.words[1])
	if others, err := k.list(ctx, c, client.InNamespace(namespace)); err == nil && len(others) > 0 {
		names := make([]string, len(others))
		for i, o := range others {
			names[i] = o.GetName()
		}
		hint = "there are: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%s %q not found in namespace %q; %s", k.name, name, namespace, hint)
}
