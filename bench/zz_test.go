package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

func TestZZ(t *testing.T) {
	ctx := context.Background()
	if err := chdirTop(); err != nil { t.Fatal(err) }
	programs, err := tethered.FindPrograms(ctx)
	if err != nil { t.Fatal(err) }
	a, err := enter(ctx, programs, false, profiler{})
	if err != nil { t.Fatal(err) }
	defer a.close()
	const n = 1000
	status := func(rev string) kustomizev1.KustomizationStatus {
		s := kustomizev1.KustomizationStatus{ObservedGeneration: 1, LastAppliedRevision: rev, LastAttemptedRevision: rev}
		s.Conditions = []metav1.Condition{
			{Type: "Ready", Status: "True", Reason: "ReconciliationSucceeded", Message: "Applied revision: " + rev, LastTransitionTime: metav1.Now(), ObservedGeneration: 1},
			{Type: "Healthy", Status: "True", Reason: "Succeeded", Message: "Health check passed", LastTransitionTime: metav1.Now(), ObservedGeneration: 1}}
		s.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "apps_web-0001__ServiceAccount", Version: "v1"}, {ID: "apps_web-0001__Service", Version: "v1"}, {ID: "apps_web-0001_apps_Deployment", Version: "v1"}, {ID: "apps_web-0001_networking.k8s.io_Ingress", Version: "v1"}}}
		s.History = meta.History{{Digest: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LastReconciled: metav1.Now(), FirstReconciled: metav1.Now(), LastReconciledStatus: "ReconciliationSucceeded", TotalReconciliations: 1, Metadata: map[string]string{"revision": rev}}}
		return s
	}
	err = each(ctx, n, func(ctx context.Context, i int) error {
		for _, obj := range suspend(a.pair(i)) {
			if err := a.client.Create(ctx, obj); err != nil { return err }
		}
		return nil
	})
	if err != nil { t.Fatal(err) }
	sch := scheme()
	_ = kustomizev1.AddToScheme(sch)
	gvk := kustomizev1.GroupVersion.WithKind("Kustomization")
	hc, _ := rest.HTTPClientFor(a.config)
	rc, err := apiutil.RESTClientForGVK(gvk, false, false, a.config, serializerFor(sch), hc)
	if err != nil { t.Fatal(err) }
	round := 0
	run := func(name string, do func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error) {
		round++
		rev := fmt.Sprintf("main@sha1:%040d", round)
		time.Sleep(2*time.Second)
		began, c := time.Now(), cpu(a.plane.PID(control.APIServer))
		own := cpu(selfPID())
		err := each(ctx, n, func(ctx context.Context, i int) error { return do(ctx, i, status(rev)) })
		if err != nil { t.Fatal(name, err) }
		took := time.Since(began)
		time.Sleep(time.Second)
		fmt.Printf("%-20s %5.2fs api %5.2f own %5.2f\n", name, took.Seconds(), (cpu(a.plane.PID(control.APIServer)) - c).Seconds(), (cpu(selfPID())-own).Seconds())
	}
	merge := func(s any) []byte { b, _ := json.Marshal(map[string]any{"status": s}); return b }
	small := func(s kustomizev1.KustomizationStatus) any {
		return map[string]any{"lastAppliedRevision": s.LastAppliedRevision, "lastAttemptedRevision": s.LastAttemptedRevision, "conditions": s.Conditions, "history": s.History}
	}
	key := func(i int) metav1.ObjectMeta { return metav1.ObjectMeta{Name: appName(i), Namespace: fluxNamespace} }
	full := func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		return a.client.Status().Patch(ctx, &kustomizev1.Kustomization{ObjectMeta: key(i)}, client.RawPatch(types.MergePatchType, merge(s)), client.FieldOwner("x"))
	}
	run("first", full)
	for range 2 {
	run("merge full", full)
	run("merge small", func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		return a.client.Status().Patch(ctx, &kustomizev1.Kustomization{ObjectMeta: key(i)}, client.RawPatch(types.MergePatchType, merge(small(s))), client.FieldOwner("x"))
	})
	run("merge partial resp", func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		o := &metav1.PartialObjectMetadata{ObjectMeta: key(i)}
		o.SetGroupVersionKind(gvk)
		return a.client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, merge(small(s))), client.FieldOwner("x"))
	})
	run("json patch partial", func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		o := &metav1.PartialObjectMetadata{ObjectMeta: key(i)}
		o.SetGroupVersionKind(gvk)
		var ops []map[string]any
		for k, v := range small(s).(map[string]any) { ops = append(ops, map[string]any{"op":"replace","path":"/status/"+k,"value":v}) }
		b, _ := json.Marshal(ops)
		return a.client.Status().Patch(ctx, o, client.RawPatch(types.JSONPatchType, b), client.FieldOwner("x"))
	})
	var list kustomizev1.KustomizationList
	if err := a.client.List(ctx, &list, client.InNamespace(fluxNamespace)); err != nil { t.Fatal(err) }
	byName := map[string]*kustomizev1.Kustomization{}
	for i := range list.Items { list.Items[i].ManagedFields = nil; byName[list.Items[i].Name] = &list.Items[i] }
	run("put", func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		o := byName[appName(i)]
		o.Status = s
		return a.client.Status().Update(ctx, o, client.FieldOwner("x"))
	})
	run("put partial resp", func(ctx context.Context, i int, s kustomizev1.KustomizationStatus) error {
		o := byName[appName(i)]
		o.Status = s
		o.SetGroupVersionKind(gvk)
		o.ManagedFields = nil
		body, _ := json.Marshal(o)
		var got metav1.PartialObjectMetadata
		err := rc.Put().Namespace(fluxNamespace).Resource("kustomizations").Name(o.Name).SubResource("status").Param("fieldManager", "x").
			SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").SetHeader("Content-Type","application/json").Body(body).Do(ctx).Into(&got)
		return err
	})
	}
}
