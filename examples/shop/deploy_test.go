package shop

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// build renders an overlay as `kubectl kustomize` does.
func build(t *testing.T, overlay string) []*unstructured.Unstructured {
	t.Helper()
	if _, err := os.Stat("deploy/overlays/" + overlay); err != nil {
		t.Fatal(err)
	}
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "deploy/overlays/"+overlay)
	if err != nil {
		t.Fatalf("build overlay %s: %v", overlay, err)
	}
	var objects []*unstructured.Unstructured
	for _, r := range rendered.Resources() {
		m, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &unstructured.Unstructured{Object: m})
	}
	return objects
}

func deployments(t *testing.T, objects []*unstructured.Unstructured) map[string]*appsv1.Deployment {
	t.Helper()
	found := map[string]*appsv1.Deployment{}
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		var d appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
			t.Fatalf("%s: %v", o.GetName(), err)
		}
		found[d.Name] = &d
	}
	return found
}

func TestOverlays(t *testing.T) {
	cases := map[string]struct {
		reason   string
		replicas map[string]int32 // -1: left to the autoscaler
		kinds    map[string]int
		env      map[string]string
	}{
		"dev": {
			reason:   "one of each, and a word that shows where one is",
			replicas: map[string]int32{"web": 1, "catalog": 1, "cart": 1, "payments": 1},
			kinds:    map[string]int{"Deployment": 4, "Service": 4, "ConfigMap": 2},
			env:      map[string]string{"SHOP_ENVIRONMENT": "dev", "WEB_GREETING": "Wet paint, mind the ropes."},
		},
		"staging": {
			reason:   "one of each, with production's words",
			replicas: map[string]int32{"web": 1, "catalog": 1, "cart": 1, "payments": 1},
			kinds:    map[string]int{"Deployment": 4, "Service": 4, "ConfigMap": 2},
			env:      map[string]string{"SHOP_ENVIRONMENT": "staging", "WEB_GREETING": "Everything a small ship needs."},
		},
		"prod": {
			reason:   "web scales itself, carts live in one pod's memory, the rest has three pods and a budget",
			replicas: map[string]int32{"web": -1, "catalog": 3, "cart": 1, "payments": 3},
			kinds:    map[string]int{"Deployment": 4, "Service": 4, "ConfigMap": 2, "HorizontalPodAutoscaler": 1, "PodDisruptionBudget": 3},
			env:      map[string]string{"SHOP_ENVIRONMENT": "prod", "WEB_GREETING": "Everything a small ship needs."},
		},
	}
	for overlay, tc := range cases {
		t.Run(overlay, func(t *testing.T) {
			objects := build(t, overlay)
			kinds, env, replicas := map[string]int{}, map[string]string{}, map[string]int32{}
			for _, o := range objects {
				kinds[o.GetKind()]++
				if got := o.GetNamespace(); got != "shop-"+overlay {
					t.Errorf("%s %s is in namespace %q", o.GetKind(), o.GetName(), got)
				}
				if o.GetKind() == "ConfigMap" {
					data, _, _ := unstructured.NestedStringMap(o.Object, "data")
					for k := range tc.env {
						if v, ok := data[k]; ok {
							env[k] = v
						}
					}
				}
			}
			for name, d := range deployments(t, objects) {
				replicas[name] = ptr.Deref(d.Spec.Replicas, -1)
			}
			if diff := cmp.Diff(tc.kinds, kinds); diff != "" {
				t.Errorf("%s: kinds (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.replicas, replicas); diff != "" {
				t.Errorf("%s: replicas (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.env, env); diff != "" {
				t.Errorf("%s: environment (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestPodsAreRestricted holds every pod to what Kubernetes' "restricted" pod
// security standard asks for, and to what makes it a good neighbour.
func TestPodsAreRestricted(t *testing.T) {
	want := &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	for _, overlay := range []string{"dev", "staging", "prod"} {
		found := deployments(t, build(t, overlay))
		for _, service := range Services() {
			d, ok := found[service]
			if !ok {
				t.Errorf("%s: no Deployment %s", overlay, service)
				continue
			}
			pod := d.Spec.Template.Spec
			if !ptr.Deref(pod.SecurityContext.RunAsNonRoot, false) || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s/%s: pod security context %v", overlay, service, pod.SecurityContext)
			}
			if ptr.Deref(pod.AutomountServiceAccountToken, true) {
				t.Errorf("%s/%s: mounts a token that it has no use for", overlay, service)
			}
			for _, c := range pod.Containers {
				if diff := cmp.Diff(want, c.SecurityContext, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s/%s: security context (-want +got):\n%s", overlay, service, diff)
				}
				if c.ReadinessProbe == nil || c.LivenessProbe == nil {
					t.Errorf("%s/%s: a probe is missing", overlay, service)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s/%s: resources %v", overlay, service, c.Resources)
				}
			}
		}
	}
}

func TestDeployHasWhatIsOnDisk(t *testing.T) {
	dir, err := Deploy()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"base/kustomization.yaml", "overlays/dev/kustomization.yaml", "overlays/staging/kustomization.yaml", "overlays/prod/kustomization.yaml"} {
		if _, err := dir.Open(path); err != nil {
			t.Error(err)
		}
	}
	if !slices.Contains(Services(), "web") {
		t.Error("no web")
	}
}
