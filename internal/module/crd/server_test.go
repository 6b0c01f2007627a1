package crd_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/crd"
)

// server is the real API server, and the kind that a test works on.
type server struct {
	t         *testing.T
	objects   dynamic.Interface
	discovery discovery.DiscoveryInterface
	namespace string
	name      string
	group     string
	plural    string
}

func newServer(t *testing.T, d *definition) *server {
	t.Helper()
	env := labtest.ControlPlane(t)
	objects, err := dynamic.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, objects: objects, discovery: found, namespace: env.Namespace, name: d.Name, group: d.Spec.Group, plural: d.Spec.Names.Plural}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.definitions().Delete(ctx, s.name, metav1.DeleteOptions{})
	})
	return s
}

func (s *server) definitions() dynamic.ResourceInterface {
	return s.objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
}

func (s *server) of(version string) dynamic.ResourceInterface {
	return s.objects.Resource(schema.GroupVersionResource{Group: s.group, Version: version, Resource: s.plural}).Namespace(s.namespace)
}

// try applies a definition and returns what the API server says.
func (s *server) try(d *definition) error {
	s.t.Helper()
	o, err := crd.Object(d)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.definitions().Apply(s.t.Context(), s.name, o, metav1.ApplyOptions{FieldManager: "slipway/test", Force: true})
	return err
}

// apply applies a definition and waits until exactly its versions are served, and stored as it says.
func (s *server) apply(d *definition) *definition {
	s.t.Helper()
	if err := s.try(d); err != nil {
		s.t.Fatalf("the API server refuses %s: %v", words(d), err)
	}
	var want []string
	for _, v := range d.Spec.Versions {
		if v.Served {
			want = append(want, v.Name)
		}
	}
	slices.Sort(want)
	s.eventually("versions "+strings.Join(want, ", "), func() bool {
		groups, err := s.discovery.ServerGroups()
		if err != nil {
			return false
		}
		var got []string
		for _, g := range groups.Groups {
			for _, v := range g.Versions {
				if g.Name == s.group {
					got = append(got, v.Version)
				}
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	for _, v := range want {
		s.eventually("a list of "+v, func() bool {
			_, err := s.of(v).List(s.t.Context(), metav1.ListOptions{})
			return err == nil
		})
	}
	return s.live()
}

func (s *server) eventually(what string, is func() bool) {
	s.t.Helper()
	err := wait.PollUntilContextTimeout(s.t.Context(), 50*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		s.t.Fatalf("waited for %s: %v", what, err)
	}
}

// live is the definition as the API server has it.
func (s *server) live() *definition {
	s.t.Helper()
	o, err := s.definitions().Get(s.t.Context(), s.name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := crd.FromObject(o)
	if err != nil {
		s.t.Fatalf("what the API server has can't be read: %v", err)
	}
	return d
}

func (s *server) create(version, kind, name string, spec map[string]any) {
	s.t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": s.group + "/" + version, "kind": kind,
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
	if _, err := s.of(version).Create(s.t.Context(), o, metav1.CreateOptions{}); err != nil {
		s.t.Fatalf("create %s in %s: %v", name, version, err)
	}
}

// holds fails unless an object can be read in a version, has the spec, and can be changed.
func (s *server) holds(version, name string, spec map[string]any) {
	s.t.Helper()
	o, err := s.of(version).Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatalf("read %s in %s: %v", name, version, err)
	}
	if diff := cmp.Diff(spec, o.Object["spec"]); diff != "" {
		s.t.Errorf("%s in %s (-want +got):\n%s", name, version, diff)
	}
	o.SetAnnotations(map[string]string{"seen": time.Now().String()})
	if _, err := s.of(version).Update(s.t.Context(), o, metav1.UpdateOptions{}); err != nil {
		s.t.Errorf("change %s in %s: %v", name, version, err)
	}
	manifest := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": s.group + "/" + version, "kind": o.GetKind(),
		"metadata": map[string]any{"name": name, "labels": map[string]any{"seen": "yes"}},
	}}
	if _, err := s.of(version).Apply(s.t.Context(), name, manifest, metav1.ApplyOptions{FieldManager: "person", Force: true}); err != nil {
		s.t.Errorf("apply %s in %s: %v", name, version, err)
	}
}

// migrate does what Steps.Migrate asks for.
func (s *server) migrate(version string, steps crd.Steps) {
	s.t.Helper()
	objects, err := s.of(version).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range objects.Items {
		if _, err := s.of(version).Update(s.t.Context(), &o, metav1.UpdateOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"storedVersions": steps.StoredVersions}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.definitions().Patch(s.t.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		s.t.Fatal(err)
	}
}

// storageHash is by what the API server tells in which version it stores.
func (s *server) storageHash(version string) string {
	resources, err := s.discovery.ServerResourcesForGroupVersion(s.group + "/" + version)
	if err != nil {
		return ""
	}
	for _, r := range resources.APIResources {
		if r.Name == s.plural {
			return r.StorageVersionHash
		}
	}
	return ""
}

// A version goes and another comes: forward, back, forward again and committed, on the real API server. What the rules and the steps
// take for granted about it is held against it here.
func TestVersionsMoveOnAServer(t *testing.T) {
	t.Parallel()
	old := "{type: object, properties: {a: {type: string}}}"
	more := "{type: object, properties: {a: {type: string}, b: {type: string}}}"
	previous := ship(t, "v1beta1", map[string]string{"v1beta1": old})
	next := ship(t, "v1", map[string]string{"v1": more})
	s := newServer(t, previous)

	was := s.apply(previous)
	s.create("v1beta1", "Ship", "ark", map[string]any{"a": "wood"})
	if err := s.try(next); !apierrors.IsInvalid(err) {
		t.Fatalf("the API server must refuse a definition without the stored version, or steps aren't needed: %v", err)
	}

	steps, err := crd.TwoStep(was, next)
	if err != nil {
		t.Fatal(err)
	}
	first := s.apply(steps.First)
	if got := words(first); got != "[v1+ v1beta1] stored [v1beta1]" {
		t.Errorf("after the first step: %s", got)
	}
	s.holds("v1beta1", "ark", map[string]any{"a": "wood"})
	s.holds("v1", "ark", map[string]any{"a": "wood"})
	// DroppedUntilCommit: the old version stores.
	s.create("v1", "Ship", "titanic", map[string]any{"a": "steel", "b": "fast"})
	s.holds("v1", "titanic", map[string]any{"a": "steel"})

	back, err := crd.Back(first, previous)
	if err != nil {
		t.Fatal(err)
	}
	restored := s.apply(back)
	if diff := cmp.Diff(was.Spec, restored.Spec); diff != "" || words(restored) != words(was) {
		t.Errorf("going back leaves (-was +is):\n%s", diff)
	}
	s.holds("v1beta1", "ark", map[string]any{"a": "wood"})
	s.holds("v1beta1", "titanic", map[string]any{"a": "steel"})

	again, err := crd.TwoStep(restored, next)
	if err != nil || !cmp.Equal(steps.Flip, again.Flip) {
		t.Fatalf("the second attempt isn't the first one: %v\n%s", err, cmp.Diff(steps, again))
	}
	s.apply(again.First)
	before := s.storageHash("v1")
	flip := s.apply(again.Flip)
	s.eventually("the storage to move", func() bool { return s.storageHash("v1") != before })
	if got := words(flip); got != "[v1 v1beta1+] stored [v1beta1 v1]" {
		t.Errorf("after the flip: %s", got)
	}
	if err := s.try(next); !apierrors.IsInvalid(err) {
		t.Errorf("objects aren't rewritten yet, but the API server takes the last step: %v", err)
	}
	resumed, err := crd.TwoStep(flip, next)
	if err != nil || !resumed.Migrate {
		t.Fatalf("a commit that was interrupted must go on with the migration: %v", err)
	}
	s.migrate("v1", resumed)
	final := s.apply(resumed.Final)
	if got := words(final); got != "[v1] stored [v1]" {
		t.Errorf("after the commit: %s", got)
	}
	s.holds("v1", "ark", map[string]any{"a": "wood"})
	s.create("v1", "Ship", "queen", map[string]any{"a": "steel", "b": "fast"})
	s.holds("v1", "queen", map[string]any{"a": "steel", "b": "fast"})
}

// The definitions of others, with an object of theirs: forward, back and committed.
func TestPublishedOnAServer(t *testing.T) {
	t.Parallel()
	target := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
	analysis := map[string]any{"interval": "1m", "threshold": int64(5), "iterations": int64(10)}
	cases := map[string]struct {
		was, next     string
		version, kind string
		spec          map[string]any
		since, before map[string]any // what is written after the first step, and what is left of it after going back
	}{
		"cert-manager": {
			"cert-manager/certificates-v1.20.3.yaml", "cert-manager/certificates-v1.21.2.yaml", "v1", "Certificate",
			map[string]any{"secretName": "tls", "issuerRef": map[string]any{"name": "ca"}},
			map[string]any{"secretName": "tls", "issuerRef": map[string]any{"name": "ca"}, "renewal": map[string]any{"policy": "Disabled"}},
			map[string]any{"secretName": "tls", "issuerRef": map[string]any{"name": "ca"}},
		},
		"flagger": {
			"flagger/canaries-v1.30.0.yaml", "flagger/canaries-v1.41.0.yaml", "v1beta1", "Canary",
			map[string]any{"targetRef": target, "service": map[string]any{"port": int64(80)}, "analysis": analysis},
			map[string]any{"targetRef": target, "service": map[string]any{"port": int64(80), "headless": true}, "analysis": analysis, "suspend": true},
			map[string]any{"targetRef": target, "service": map[string]any{"port": int64(80)}, "analysis": analysis},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			previous, next := read(t, tc.was), read(t, tc.next)
			s := newServer(t, previous)
			was := s.apply(previous)
			s.create(tc.version, tc.kind, "old", tc.spec)
			steps, err := crd.TwoStep(was, next)
			if err != nil {
				t.Fatal(err)
			}
			first := s.apply(steps.First)
			s.eventually("the new schema", func() bool {
				o := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": s.group + "/" + tc.version, "kind": tc.kind, "metadata": map[string]any{"name": "trial"}, "spec": tc.since,
				}}
				got, err := s.of(tc.version).Create(t.Context(), o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return err == nil && cmp.Equal(got.Object["spec"], o.Object["spec"])
			})
			s.create(tc.version, tc.kind, "new", tc.since)
			s.holds(tc.version, "old", tc.spec)
			s.holds(tc.version, "new", tc.since)

			back, err := crd.Back(first, previous)
			if err != nil {
				t.Fatal(err)
			}
			restored := s.apply(back)
			if diff := cmp.Diff(was.Spec, restored.Spec); diff != "" {
				t.Errorf("going back leaves (-was +is):\n%s", diff)
			}
			s.eventually("the old schema", func() bool {
				o, err := s.of(tc.version).Get(t.Context(), "new", metav1.GetOptions{})
				return err == nil && cmp.Equal(tc.before, o.Object["spec"])
			})
			s.holds(tc.version, "old", tc.spec)
			s.holds(tc.version, "new", tc.before)

			s.apply(steps.First)
			s.apply(steps.Flip)
			if steps.Migrate {
				s.migrate(tc.version, steps)
			}
			s.apply(steps.Final)
			s.holds(tc.version, "old", tc.spec)
		})
	}
}
