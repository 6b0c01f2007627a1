package kube_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestKeeperOf(t *testing.T) {
	fields := func(manager, subresource string) metav1.ObjectMeta {
		return metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Subresource: subresource}}}
	}
	labels := func(pairs ...string) metav1.ObjectMeta { return metav1.ObjectMeta{Labels: table(pairs)} }
	notes := func(pairs ...string) metav1.ObjectMeta { return metav1.ObjectMeta{Annotations: table(pairs)} }
	helm := notes("meta.helm.sh/release-name", "shop", "meta.helm.sh/release-namespace", "web")
	both := *helm.DeepCopy()
	both.Labels = table([]string{"helm.toolkit.fluxcd.io/name", "shop", "helm.toolkit.fluxcd.io/namespace", "flux-system"})
	for name, tc := range map[string]struct {
		reason string
		meta   metav1.ObjectMeta
		want   string
	}{
		"Nobody":           {"who is no keeper", fields("slipway-install", ""), ""},
		"Person":           {"a person applies once", fields("kubectl-client-side-apply", ""), ""},
		"Nothing":          {"no mark at all", metav1.ObjectMeta{}, ""},
		"Helm":             {"Helm's annotations", helm, "Helm release web/shop"},
		"HelmNameOnly":     {"without the namespace", notes("meta.helm.sh/release-name", "shop"), "Helm release shop"},
		"HelmLabel":        {"the label alone", labels("app.kubernetes.io/managed-by", "Helm"), "Helm"},
		"OtherLabel":       {"another manager's", labels("app.kubernetes.io/managed-by", "kustomize"), ""},
		"HelmRelease":      {"Flux's mark counts before Helm's", both, "HelmRelease flux-system/shop"},
		"Kustomization":    {"Flux's Kustomization", labels("kustomize.toolkit.fluxcd.io/name", "infra"), "Kustomization infra"},
		"ArgoLabel":        {"tracking by label", labels("argocd.argoproj.io/instance", "infra"), "Argo CD application infra"},
		"ArgoTracking":     {"tracking by annotation", notes("argocd.argoproj.io/tracking-id", "infra:apps/StatefulSet:x/y"), "Argo CD application infra"},
		"OLM":              {"the Operator Lifecycle Manager", labels("olm.owner", "etcd.v1"), "Operator Lifecycle Manager etcd.v1"},
		"ArgoManager":      {"as a field manager", fields("argocd-controller", ""), "Argo CD"},
		"HelmManager":      {"as a field manager", fields("helm", ""), "Helm"},
		"HelmManagerUpper": {"as it was called once", fields("Helm", ""), "Helm"},
		"FluxManager":      {"as a field manager", fields("kustomize-controller", ""), "Flux"},
		"StatusManager":    {"who writes the status keeps nothing", fields("helm-controller", "status"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := kube.KeeperOf(&metav1.PartialObjectMetadata{ObjectMeta: tc.meta})
			if got.String() != tc.want || (got == kube.Keeper{}) != (tc.want == "") {
				t.Errorf("%s: it is kept by %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func table(pairs []string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}
