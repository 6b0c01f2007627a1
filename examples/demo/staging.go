package main

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/await"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

const (
	namespace = "shop-staging"
	deployer  = "deployer"
	owner     = client.FieldOwner("slipway-demo")
	// patience is how long a delivery may take on a slow machine.
	patience = 4 * time.Minute
)

// tenancy is what the platform's owners give a team: a namespace that takes
// restricted pods only, and an account with rights in it and nowhere else.
func tenancy() []client.Object {
	meta := metav1.ObjectMeta{Name: deployer, Namespace: namespace}
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	return []client.Object{
		&corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}},
		},
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta},
		&rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: meta,
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"configmaps", "services"}, Verbs: verbs},
				{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: verbs},
				{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: verbs},
				{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: verbs},
			},
		},
		&rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: deployer},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: deployer, Namespace: namespace}},
		},
	}
}

// delivery is what the team adds: where its manifests are, and which of them
// go here.
func delivery(url string) []client.Object {
	return []client.Object{
		&sourcev1.GitRepository{
			TypeMeta:   metav1.TypeMeta{APIVersion: sourcev1.GroupVersion.String(), Kind: sourcev1.GitRepositoryKind},
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: namespace},
			Spec: sourcev1.GitRepositorySpec{
				URL:       url,
				Reference: &sourcev1.GitRepositoryRef{Branch: gitserver.DefaultBranch},
				Interval:  metav1.Duration{Duration: time.Second},
			},
		},
		&kustomizev1.Kustomization{
			TypeMeta:   metav1.TypeMeta{APIVersion: kustomizev1.GroupVersion.String(), Kind: kustomizev1.KustomizationKind},
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: namespace},
			Spec: kustomizev1.KustomizationSpec{
				SourceRef:          kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
				Path:               "./" + overlayPath,
				Interval:           metav1.Duration{Duration: 10 * time.Minute},
				RetryInterval:      &metav1.Duration{Duration: 30 * time.Second},
				Timeout:            &metav1.Duration{Duration: 2 * time.Minute},
				Prune:              true,
				Wait:               true,
				ServiceAccountName: deployer,
			},
		},
	}
}

// apply applies objects in their order.
func (d *demo) apply(ctx context.Context, objects []client.Object) error {
	for _, obj := range objects {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return fmt.Errorf("encode %s: %w", obj.GetName(), err)
		}
		delete(fields, "status")
		u := &unstructured.Unstructured{Object: fields}
		if err := d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

// deliver brings the shop to staging.
func (d *demo) deliver(ctx context.Context) error {
	revision, err := d.clone.revision(ctx)
	if err != nil {
		return err
	}
	err = d.step("namespace "+namespace+", and an account that may deploy there and nowhere else", func() error {
		if err := d.notTerminating(ctx); err != nil {
			return err
		}
		return d.apply(ctx, tenancy())
	})
	if err != nil {
		return err
	}
	began := d.now()
	err = d.step("a GitRepository and a Kustomization are applied, and Ready", func() error {
		if err := d.apply(ctx, delivery(d.gitURLForPods())); err != nil {
			return err
		}
		// Somebody may have suspended them after an earlier run.
		for _, kind := range []string{"GitRepository", "Kustomization"} {
			if err := d.patch(ctx, kind, "shop", `{"spec":{"suspend":null}}`); err != nil {
				return err
			}
		}
		return d.ready(ctx, revision)
	})
	if err != nil {
		return err
	}
	if err := d.running(ctx); err != nil {
		return err
	}
	d.held("from nothing to four services Running: %s", brief(d.now().Sub(began)))
	return d.shop(ctx, firstVersion, firstGreeting)
}

// change pushes a new image and a new text, and measures how long they take.
func (d *demo) change(ctx context.Context) error {
	overlay, err := d.clone.read(overlayFile)
	if err != nil {
		return err
	}
	if overlay, err = setImage(overlay, "shop/web", secondVersion, d.images.second["shop/web"]); err != nil {
		return err
	}
	overlay, err = setLiteral(overlay, "web", "WEB_GREETING="+secondGreeting)
	if err != nil {
		return err
	}
	if err := d.clone.write(overlayFile, overlay); err != nil {
		return err
	}
	d.command("kustomize edit set image shop/web:%s && git commit -am 'web %s' && git push", secondVersion, secondVersion)
	revision, err := d.clone.push(ctx, "web "+secondVersion)
	if err != nil {
		return err
	}
	pushed := d.now()
	err = d.step("Slipway found the commit and rolled web out", func() error { return d.ready(ctx, revision) })
	if err != nil {
		return err
	}
	d.held("from the push to Ready: %s", brief(d.now().Sub(pushed)))
	return d.shop(ctx, secondVersion, secondGreeting)
}

// ready waits until the Kustomization is Ready at a revision.
func (d *demo) ready(ctx context.Context, revision string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return await.Object(ctx, d.client, key("Kustomization", "shop"), await.Ready(revision))
}

// notTerminating waits until a namespace that somebody deletes is gone.
func (d *demo) notTerminating(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return await.Object(ctx, d.client, key("Namespace", namespace), func(obj *unstructured.Unstructured) string {
		if obj != nil && obj.GetDeletionTimestamp() != nil {
			return "it is still being deleted"
		}
		return ""
	})
}

func (d *demo) patch(ctx context.Context, kind, name, patch string) error {
	err := d.client.Patch(ctx, key(kind, name), client.RawPatch("application/merge-patch+json", []byte(patch)), owner)
	if err != nil {
		return fmt.Errorf("patch %s %s: %w", kind, name, err)
	}
	return nil
}

// key is an empty object of the shop's, by kind and name.
func key(kind, name string) *unstructured.Unstructured {
	versions := map[string]schema.GroupVersion{
		"Kustomization": kustomizev1.GroupVersion,
		"GitRepository": sourcev1.GroupVersion,
		"Deployment":    {Group: "apps", Version: "v1"},
	}
	gv, ok := versions[kind]
	if !ok {
		gv = corev1.SchemeGroupVersion
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gv.WithKind(kind))
	obj.SetName(name)
	if kind != "Namespace" {
		obj.SetNamespace(namespace)
	}
	return obj
}
