package main

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/kube"
)

// recordFloor is the least that it costs to write a revision into the statuses of n Kustomizations of one source, which nobody reconciles:
// one write each by a bare client with 20 workers.
func recordFloor(ctx context.Context, a *arena, n int) (result, error) {
	config := rest.CopyConfig(a.config)
	config.UserAgent = "floor"
	typed, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return result{}, err
	}
	all := make([]*kustomizev1.Kustomization, n)
	ref := kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: monorepoName}
	write := func(ctx context.Context, i int, revision string) error {
		after := all[i].DeepCopy()
		after.Status = recorded(after.Status, i, revision)
		_, err := kube.PatchStatus(ctx, typed, all[i], after, "floor")
		all[i] = after
		return err
	}
	err = each(ctx, n, func(ctx context.Context, i int) error {
		all[i] = kustomization(i, ref, "./"+folderOf(i))
		all[i].Spec.Suspend = true
		if err := typed.Create(ctx, all[i]); err != nil {
			return err
		}
		return write(ctx, i, "main@sha1:0000000000000000000000000000000000000001")
	})
	if err != nil {
		return result{}, fmt.Errorf("create Kustomizations: %w", err)
	}
	a.settle(ctx)
	w := a.measure(ctx, "irrelevant commit", n, engine{name: "floor", clients: []string{"floor"}}, &running{})
	err = each(ctx, n, func(ctx context.Context, i int) error {
		return write(ctx, i, "main@sha1:0000000000000000000000000000000000000002")
	})
	if err != nil {
		return result{}, fmt.Errorf("write the statuses: %w", err)
	}
	took := time.Since(w.began)
	a.settle(ctx)
	out, err := w.end(took)
	out.Note = "one bare status write each"
	return out, err
}

// recorded is the status of an application that is Ready at a revision.
func recorded(s kustomizev1.KustomizationStatus, i int, revision string) kustomizev1.KustomizationStatus {
	now := metav1.Now()
	s.ObservedGeneration, s.LastAppliedRevision, s.LastAttemptedRevision = 1, revision, revision
	s.Conditions = nil
	for kind, message := range map[string]string{meta.ReadyCondition: "Applied revision: " + revision, meta.HealthyCondition: "Health check passed"} {
		kube.SetCondition(&s.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, Message: message, ObservedGeneration: 1})
	}
	s.Inventory = &kustomizev1.ResourceInventory{}
	for _, obj := range objects(i) {
		ref := kube.RefOf(obj)
		s.Inventory.Entries = append(s.Inventory.Entries, kustomizev1.ResourceRef{ID: fmt.Sprintf("%s_%s_%s_%s", ref.Namespace, ref.Name, ref.Group, ref.Kind), Version: ref.Version})
	}
	s.History.Upsert("sha256:"+appName(i), now.Time, time.Millisecond, meta.ReconciliationSucceededReason, map[string]string{"revision": revision})
	return s
}
