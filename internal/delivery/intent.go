package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// IntentAnnotation names what a Kustomization is about to create for the first time, as id@version of the inventory. It comes with the
// finalizer in one write, where a write of the inventory would be a second one, and counts until there is an inventory.
const IntentAnnotation = "slipway.dev/intent"

// maxIntended is how many objects the annotation names at most; larger sets are written to the inventory.
const maxIntended = 64

// inventoryOf is what obj has, or may have, in the cluster.
func inventoryOf(obj *kustomizev1.Kustomization) []kube.Ref {
	if obj.Status.Inventory != nil {
		return apply.Refs(obj.Status.Inventory)
	}
	text := obj.Annotations[IntentAnnotation]
	if text == "" {
		return nil
	}
	inventory := &kustomizev1.ResourceInventory{}
	for entry := range strings.SplitSeq(text, ",") {
		id, version, _ := strings.Cut(entry, "@")
		inventory.Entries = append(inventory.Entries, kustomizev1.ResourceRef{ID: id, Version: version})
	}
	return apply.Refs(inventory)
}

// owned is what the Kustomization has, or may have, in the cluster, as far as this process knows.
func (t *task) owned() []kube.Ref {
	if t.entry.inventory != nil {
		return apply.Refs(t.entry.inventory)
	}
	return inventoryOf(t.obj)
}

// intend writes down what is about to be created, before it is: an agent that dies in between leaves nothing behind that nobody knows of.
// It writes nothing where no object is new.
func (t *task) intend(ctx context.Context, refs []kube.Ref) error {
	known := t.owned()
	union := slices.Clone(known)
	for _, ref := range refs {
		if !contains(known, ref) {
			union = append(union, ref)
		}
	}
	grows := len(union) > len(known)
	if !controllerutil.ContainsFinalizer(t.obj, kustomizev1.KustomizationFinalizer) {
		annotate := grows && t.obj.Status.Inventory == nil && t.entry.inventory == nil && len(union) <= maxIntended
		if err := t.take(ctx, union, annotate); err != nil || annotate {
			return err
		}
	}
	if !grows {
		return nil
	}
	t.entry.inventory = apply.Inventory(union)
	t.progressing("Applying revision " + t.in.artifact.Revision)
	return t.write(ctx)
}

// take puts the finalizer on the Kustomization, with which its deletion waits for that of its objects, and with it what they will be.
func (t *task) take(ctx context.Context, refs []kube.Ref, annotate bool) error {
	after := t.before.DeepCopy()
	controllerutil.AddFinalizer(after, kustomizev1.KustomizationFinalizer)
	if annotate {
		entries := apply.Inventory(refs).Entries
		texts := make([]string, len(entries))
		for i, e := range entries {
			texts[i] = e.ID + "@" + e.Version
		}
		if after.Annotations == nil {
			after.Annotations = map[string]string{}
		}
		after.Annotations[IntentAnnotation] = strings.Join(texts, ",")
	}
	if err := kube.PatchMetadata(ctx, t.client, t.before, after, string(kustomizeManager)); err != nil {
		return fmt.Errorf("add finalizer: %w", err)
	}
	t.obj.ObjectMeta, t.before = *after.ObjectMeta.DeepCopy(), after
	t.entry.written.Is(after, after.ResourceVersion)
	return nil
}
