package attempt

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// storedVersionsPage is how many objects are listed at once when they are stored anew.
const storedVersionsPage = 200

// migration is one definition on its way to another version.
type migration struct {
	object *unstructured.Unstructured // as the package has it
	live   *apiextensionsv1.CustomResourceDefinition
	steps  crd.Steps
}

// migrations reads the definitions that there are, and makes the steps to those of the package.
func (t *task) migrations(ctx context.Context, objects []*unstructured.Unstructured) ([]migration, error) {
	var all []migration
	for _, o := range objects {
		next, err := crd.FromObject(o)
		if err != nil {
			t.failure = t.failed(reasonDefinition, err.Error())
			return nil, nil
		}
		live, err := t.liveDefinition(ctx, kube.RefOf(o))
		if err != nil {
			return nil, err
		}
		steps, err := crd.TwoStep(live, next)
		if err != nil {
			t.failure = t.failed(reasonDefinition, err.Error())
			return nil, nil
		}
		all = append(all, migration{o, live, steps})
	}
	return all, nil
}

// liveDefinition returns a definition as it is in the cluster, nil if it isn't.
func (t *task) liveDefinition(ctx context.Context, ref kube.Ref) (*apiextensionsv1.CustomResourceDefinition, error) {
	live, err := t.Clients.Get(ctx, kube.Identity{}, ref)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Subject(), err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, definition); err != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Subject(), err)
	}
	return definition, nil
}

// resourceStored is the resource that a definition defines, in the version that it stores, or in another one if that isn't served; empty if none
// is.
func resourceStored(d *apiextensionsv1.CustomResourceDefinition) (gvr schema.GroupVersionResource) {
	for _, v := range d.Spec.Versions {
		if v.Served && (v.Storage || gvr.Version == "") {
			gvr = schema.GroupVersionResource{Group: d.Spec.Group, Version: v.Name, Resource: d.Spec.Names.Plural}
		}
	}
	return gvr
}

// firstDefinitions are the definitions that serve what is new, and store what was stored.
func (t *task) firstDefinitions(ctx context.Context, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	all, err := t.migrations(ctx, objects)
	if err != nil || t.failure != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, m := range all {
		if m.live == nil {
			out = append(out, m.object)
			continue
		}
		first, err := crd.Object(m.steps.First)
		if err != nil {
			return nil, err
		}
		out = append(out, first)
	}
	return out, nil
}

// flip has definitions store the new version, writes their objects anew in it, and applies the definitions as the package has them. It
// tells whether that is finished. Each part is left out where it is done, so that it can be gone through again.
func (t *task) flip(ctx context.Context, objects []*unstructured.Unstructured) (bool, error) {
	all, err := t.migrations(ctx, objects)
	if err != nil || t.failure != nil {
		return false, err
	}
	for _, m := range all {
		if !m.steps.Migrate {
			continue
		}
		flipped, err := crd.Object(m.steps.Flip)
		if err != nil {
			return false, err
		}
		if _, done, err := t.put(ctx, []*unstructured.Unstructured{flipped}); err != nil || !done {
			return false, err
		}
		if done, err := t.storeAnew(ctx, m); err != nil || !done {
			return false, err
		}
	}
	_, done, err := t.put(ctx, objects)
	return done, err
}

// storeAnew writes each object of a kind once, unchanged, so that it is stored in the new version, and then has the definition forget the old
// one. It waits until the API server stores in the new version.
func (t *task) storeAnew(ctx context.Context, m migration) (bool, error) {
	to := m.steps.StoredVersions[0]
	spec := m.steps.Final.Spec
	gvr := schema.GroupVersionResource{Group: spec.Group, Version: to, Resource: spec.Names.Plural}
	stores, err := t.storesIn(ctx, gvr, spec.Names.Kind)
	if err != nil || !stores {
		t.waits = "the API server to store " + gvr.GroupResource().String() + " in version " + to
		t.again(t.settings.Retry / 4)
		return false, err
	}
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return false, err
	}
	page := metav1.ListOptions{Limit: storedVersionsPage}
	for {
		objects, err := cl.Metadata.Resource(gvr).List(ctx, page)
		if err != nil {
			return false, fmt.Errorf("list %s: %w", gvr.GroupResource(), err)
		}
		for _, o := range objects.Items {
			_, err := cl.Metadata.Resource(gvr).Namespace(o.Namespace).
				Patch(ctx, o.Name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{FieldManager: plan.Manager(t.m.Name)})
			if err != nil && !apierrors.IsNotFound(err) {
				return false, fmt.Errorf("store %s/%s/%s in version %s: %w", o.Kind, o.Namespace, o.Name, to, err)
			}
		}
		if page.Continue = objects.Continue; page.Continue == "" {
			break
		}
	}
	return true, t.forgetVersions(ctx, m.steps)
}

// forgetVersions removes the versions from a definition in which no object is stored any more.
func (t *task) forgetVersions(ctx context.Context, steps crd.Steps) error {
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"storedVersions": steps.StoredVersions}})
	if err != nil {
		return err
	}
	gvr := apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
	_, err = cl.Dynamic.Resource(gvr).Patch(ctx, steps.Final.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: plan.Manager(t.m.Name)}, "status")
	if err != nil {
		return fmt.Errorf("write the stored versions of %s: %w", steps.Final.Name, err)
	}
	return nil
}

// storesIn tells whether the API server writes objects of a kind in a version, by the hash that discovery has of that.
func (t *task) storesIn(ctx context.Context, gvr schema.GroupVersionResource, kind string) (bool, error) {
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return false, err
	}
	raw, err := cl.REST.Get().AbsPath("/apis", gvr.Group, gvr.Version).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask how %s are stored: %w", gvr.GroupResource(), err)
	}
	resources := &metav1.APIResourceList{}
	if err := json.Unmarshal(raw, resources); err != nil {
		return false, fmt.Errorf("ask how %s are stored: %w", gvr.GroupResource(), err)
	}
	for _, r := range resources.APIResources {
		if r.Name == gvr.Resource {
			return r.StorageVersionHash == storageHash(gvr.Group, gvr.Version, kind), nil
		}
	}
	return false, nil
}

// storageHash is what API servers tell in discovery of the version that they store in (apiserver's StorageVersionHash).
func storageHash(group, version, kind string) string {
	sum := sha256.Sum256([]byte(group + "/" + version + "/" + kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

// restoreDefinitions puts back the definitions of the current revision, as far as the attempt has changed them.
func (t *task) restoreDefinitions(ctx context.Context, objects []*unstructured.Unstructured) (bool, error) {
	for _, o := range objects {
		previous, err := crd.FromObject(o)
		if err != nil {
			t.failure = t.failed(reasonDefinition, err.Error())
			return false, nil
		}
		live, err := t.liveDefinition(ctx, kube.RefOf(o))
		if err != nil {
			return false, err
		}
		if _, err := crd.Back(live, previous); err != nil {
			t.failure = t.failed(reasonDefinition, err.Error())
			return false, nil
		}
	}
	_, done, err := t.put(ctx, objects)
	return done, err
}
