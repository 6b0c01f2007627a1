package health

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rule judges the objects of one kind that beforeAll has not decided on.
type rule func(object) Verdict

func gk(group, kind string) schema.GroupKind { return schema.GroupKind{Group: group, Kind: kind} }

// ruleFor finds the rule of a kind, whatever its version. To judge another kind, add
// its rule here.
func ruleFor(kind schema.GroupKind) (rule, bool) {
	if _, ok := inert[kind]; ok {
		return exists, true
	}
	r, ok := rules[kind]
	return r, ok
}

var rules = map[schema.GroupKind]rule{
	gk("apps", "Deployment"):        deployment,
	gk("apps", "ReplicaSet"):        replicaSet,
	gk("", "ReplicationController"): replicaSet,
	gk("apps", "StatefulSet"):       statefulSet,
	gk("apps", "DaemonSet"):         daemonSet,
	gk("", "Pod"):                   pod,
	gk("batch", "Job"):              job,
	gk("batch", "CronJob"):          cronJob,

	gk("", "Service"):                  service,
	gk("networking.k8s.io", "Ingress"): ingress,

	gk("gateway.networking.k8s.io", "GatewayClass"): gatewayClass,
	gk("gateway.networking.k8s.io", "Gateway"):      gateway,
	gk("gateway.networking.k8s.io", "HTTPRoute"):    route,
	gk("gateway.networking.k8s.io", "GRPCRoute"):    route,
	gk("gateway.networking.k8s.io", "TLSRoute"):     route,
	gk("gateway.networking.k8s.io", "TCPRoute"):     route,
	gk("gateway.networking.k8s.io", "UDPRoute"):     route,

	gk("", "PersistentVolumeClaim"): claim,
	gk("", "PersistentVolume"):      volume,

	gk("autoscaling", "HorizontalPodAutoscaler"): autoscaler,
	gk("policy", "PodDisruptionBudget"):          disruptionBudget,

	gk("", "Namespace"): namespace,
	gk("apiextensions.k8s.io", "CustomResourceDefinition"): definition,
	gk("apiregistration.k8s.io", "APIService"):             apiService,

	gk("source.toolkit.fluxcd.io", "GitRepository"):        mustBeReady,
	gk("source.toolkit.fluxcd.io", "OCIRepository"):        mustBeReady,
	gk("source.toolkit.fluxcd.io", "Bucket"):               mustBeReady,
	gk("source.toolkit.fluxcd.io", "HelmChart"):            mustBeReady,
	gk("source.toolkit.fluxcd.io", "HelmRepository"):       helmRepository,
	gk("source.toolkit.fluxcd.io", "ExternalArtifact"):     mustBeReady,
	gk("kustomize.toolkit.fluxcd.io", "Kustomization"):     mustBeReady,
	gk("helm.toolkit.fluxcd.io", "HelmRelease"):            mustBeReady,
	gk("image.toolkit.fluxcd.io", "ImageRepository"):       mustBeReady,
	gk("image.toolkit.fluxcd.io", "ImagePolicy"):           mustBeReady,
	gk("image.toolkit.fluxcd.io", "ImageUpdateAutomation"): mustBeReady,
	gk("notification.toolkit.fluxcd.io", "Receiver"):       mustBeReady,
}

// inert are the kinds that no controller has to do anything for: they are healthy by
// being there, and need no body to be judged.
var inert = kinds(map[string][]string{
	"": {
		"ConfigMap", "Secret", "ServiceAccount", "LimitRange", "ResourceQuota", "Endpoints", "PodTemplate", "Event",
	},
	"apps":                      {"ControllerRevision"},
	"rbac.authorization.k8s.io": {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
	"networking.k8s.io":         {"NetworkPolicy", "IngressClass", "IPAddress", "ServiceCIDR"},
	"discovery.k8s.io":          {"EndpointSlice"},
	"storage.k8s.io":            {"StorageClass", "CSIDriver", "CSINode", "CSIStorageCapacity", "VolumeAttributesClass"},
	"scheduling.k8s.io":         {"PriorityClass"},
	"node.k8s.io":               {"RuntimeClass"},
	"coordination.k8s.io":       {"Lease"},
	"admissionregistration.k8s.io": {
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
	},
	"gateway.networking.k8s.io":      {"ReferenceGrant"},
	"notification.toolkit.fluxcd.io": {"Alert", "Provider"},
})

func kinds(byGroup map[string][]string) map[schema.GroupKind]struct{} {
	all := map[schema.GroupKind]struct{}{}
	for group, names := range byGroup {
		for _, name := range names {
			all[gk(group, name)] = struct{}{}
		}
	}
	return all
}
