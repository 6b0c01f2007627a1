package modules

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func documents(content string) []string { return strings.Split(content, "\n---") }

// image is the one that the project's Deployment runs, if all of its pods are of it and available.
func (s *story) image(namespace, name string) string {
	s.Helper()
	var d appsv1.Deployment
	if err := s.client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &d); err != nil {
		s.Fatal(err)
	}
	if d.Status.ObservedGeneration != d.Generation || d.Status.AvailableReplicas != 1 || d.Status.UpdatedReplicas != 1 {
		return "not available"
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

func kinds(names ...string) []v1alpha1.GrantedKind {
	return []v1alpha1.GrantedKind{{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition", Names: names}}
}

// TestThirdParty has one agent with several modules at once.
func TestThirdParty(t *testing.T) {
	h := open(t)
	t.Run("Flagger", func(t *testing.T) { testFlagger(t, h) })
	t.Run("JobSet", func(t *testing.T) { testJobSet(t, h) })
}

// testFlagger is the life of Flagger as a module: its first installation, an upgrade, a later release that its plan refuses, and a broken
// one that is taken back.
func testFlagger(t *testing.T, h *harbour) {
	t.Parallel()
	s := h.tell(t, "flagger")
	registry := s.env.Lab.Registry()
	oldImage, nextImage := push(t, registry, "flagger:1.36", upstream(t, "flagger-1.36")), push(t, registry, "flagger:1.37", upstream(t, "flagger-1.37"))
	// A program that ends at once: it doesn't know the flags that it is given.
	brokenImage := push(t, registry, "flagger:broken", upstream(t, "versitygw"))
	of := func(program, version, image, deadline string) map[string]string {
		p := packaged{project: "flagger", manifests: filepath.Join("kustomize", "base", "flagger"), Version: version, Image: image, Soak: "2s", Deadline: deadline}
		return p.files(t, upstream(t, "-source", program))
	}
	first := of("flagger-1.36", "1.36.1", oldImage, "3m")
	publish(t, s.repo, first, "1.36.1")
	s.install("flagger", "~1.36", v1alpha1.ModuleGrantSpec{
		Modules: []string{"flagger"}, Namespaces: []string{"flagger-system"}, ClusterObjects: kinds("*.flagger.app"), ClusterRules: rulesOf(t, first["manifests/upstream/rbac.yaml"]),
	})
	s.installed("1.36.1")
	if got := s.image("flagger-system", "flagger"); got != oldImage {
		t.Errorf("Installed is said when it runs: got %s", got)
	}

	publish(t, s.repo, of("flagger-1.37", "1.37.0", nextImage, "3m"), "1.37.0")
	s.want("~1.37.0")
	s.installed("1.37.0")
	if got := s.image("flagger-system", "flagger"); got != nextImage {
		t.Errorf("want the new program, running: got %s", got)
	}

	// 1.41 wants rights that nobody has granted, and its definition takes whole numbers where objects may have others.
	publish(t, s.repo, of("flagger-1.41", "1.41.0", nextImage, "3m"), "1.41.0")
	s.want("~1.41")
	s.refused("1.41.0", "Permissions", "metrics.keptn.sh", "keptnmetrics", "analyses", "serving.knative.dev", "revisions")
	s.refused("1.41.0", "Definitions", "integer")
	if got := s.image("flagger-system", "flagger"); got != nextImage || s.module.Status.Current.Version != "1.37.0" {
		t.Errorf("a plan that is blocked must touch nothing: got %s", got)
	}

	// A release whose program ends at once.
	publish(t, s.repo, of("flagger-1.37", "1.37.9", brokenImage, "30s"), "1.37.9")
	s.want("1.37.9")
	var deadline time.Time
	s.until("1.37.9 is begun", func(m *v1alpha1.Module) bool {
		if m.Status.Attempt == nil || m.Status.Attempt.Target.Version != "1.37.9" {
			return false
		}
		deadline = m.Status.Attempt.Deadline.Time
		return true
	})
	back := s.until("1.37.9 is taken back", func(m *v1alpha1.Module) bool { return m.Status.Phase == v1alpha1.PhaseRolledBack })
	t.Logf("taken back %s after its deadline", back.Sub(deadline).Round(time.Second))
	if late := back.Sub(deadline); late > time.Minute {
		t.Errorf("it was taken back %s after its deadline", late)
	}
	if m := s.module.Status; m.Current.Version != "1.37.0" || len(m.Rejected) == 0 || m.Rejected[0].Version != "1.37.9" {
		t.Errorf("want 1.37.0 with 1.37.9 rejected, got %+v and %+v", m.Current, m.Rejected)
	}
	if got := s.image("flagger-system", "flagger"); got != nextImage {
		t.Errorf("want the old program, running: got %s", got)
	}
}

// testJobSet has a controller with webhooks, and with certificates that it makes itself and writes into objects of the package. Its pod is
// ready when the kubelet has brought it that certificate, which takes a minute or two.
func testJobSet(t *testing.T, h *harbour) {
	t.Parallel()
	s := h.tell(t, "jobset")
	registry := s.env.Lab.Registry()
	oldImage, nextImage := push(t, registry, "jobset:0.10", upstream(t, "jobset-0.10")), push(t, registry, "jobset:0.11", upstream(t, "jobset-0.11"))
	of := func(program, version, image, selector string) map[string]string {
		p := packaged{project: "jobset", manifests: "config", Version: version, Image: image, Soak: "2s", Deadline: "5m", Selector: selector}
		return p.files(t, upstream(t, "-source", program))
	}
	publish(t, s.repo, of("jobset-0.10", "0.10.1", oldImage, ""), "0.10.1")
	publish(t, s.repo, of("jobset-0.11", "0.11.0", nextImage, ""), "0.11.0")
	publish(t, s.repo, of("jobset-0.11", "0.11.1", nextImage, "{control-plane: controller-manager}"), "0.11.1")
	all := []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
	s.install("jobset", "~0.10", v1alpha1.ModuleGrantSpec{
		Modules: []string{"jobset"}, Namespaces: []string{"jobset-system"},
		Rules: all, ClusterRules: append(all, rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}),
		ClusterObjects: append(kinds("*.jobset.x-k8s.io"),
			v1alpha1.GrantedKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
			v1alpha1.GrantedKind{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}),
	})
	s.installed("0.10.1")

	// What its authors have released as 0.11 can't be installed over 0.10: its Deployment selects its pods otherwise. Nothing was written when
	// that is found.
	s.want("0.11.0")
	s.refused("0.11.0", "DryRun", "Deployment/jobset-system/jobset-controller-manager", "spec.selector")
	if got := s.image("jobset-system", "jobset-controller-manager"); got != oldImage {
		t.Errorf("a plan that is blocked must touch nothing: got %s", got)
	}
	s.want("0.11.1")
	s.installed("0.11.1")
	if got := s.image("jobset-system", "jobset-controller-manager"); got != nextImage {
		t.Errorf("got %s", got)
	}
}
