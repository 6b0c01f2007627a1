package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// installManager is the field manager of what 'slipway install' applies.
	installManager = client.FieldOwner("slipway-install")
	partOfLabel    = "app.kubernetes.io/part-of"
	crdKind        = "CustomResourceDefinition"
	// monitoringGroup has the kinds of the Prometheus operator.
	monitoringGroup = "monitoring.coreos.com"
)

// applyOwn applies one object of Slipway's own and says what became of it.
func (c *cluster) applyOwn(ctx context.Context, desired *unstructured.Unstructured, dryRun bool) (apply.Action, error) {
	before := &unstructured.Unstructured{}
	before.SetGroupVersionKind(desired.GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(desired), before)
	if err != nil && !apierrors.IsNotFound(err) {
		if meta.IsNoMatchError(err) && desired.GroupVersionKind().Group == monitoringGroup {
			return "", fmt.Errorf("the cluster does not know %ss: install the Prometheus operator first, or leave --with %s away", desired.GetKind(), deploy.Monitoring)
		}
		return "", fmt.Errorf("read %s: %w", kube.RefOf(desired).Subject(), err)
	}
	exists := err == nil
	applied := desired.DeepCopy()
	opts := []client.ApplyOption{installManager, client.ForceOwnership}
	if dryRun {
		opts = append(opts, client.DryRunAll)
	}
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), opts...); err != nil {
		return "", fmt.Errorf("apply %s: %w", kube.RefOf(desired).Subject(), err)
	}
	switch {
	case !exists:
		return apply.Created, nil
	case sameContent(before, applied):
		return apply.Unchanged, nil
	default:
		return apply.Configured, nil
	}
}

// sameContent compares what two states of an object say, without what the API server and controllers keep in it: a dry run has the
// resource version of what is there, whatever it changes.
func sameContent(a, b *unstructured.Unstructured) bool {
	return equality.Semantic.DeepEqual(contentOf(a), contentOf(b))
}

func contentOf(obj *unstructured.Unstructured) map[string]any {
	content := obj.DeepCopy()
	content.SetManagedFields(nil)
	content.SetResourceVersion("")
	content.SetGeneration(0)
	unstructured.RemoveNestedField(content.Object, "status")
	return content.Object
}

// refuseFlux is an error where Flux's controllers work on the kinds that Slipway serves: two that apply the same objects undo
// each other's work.
func (c *cluster) refuseFlux(ctx context.Context) error {
	running, err := c.fluxControllers(ctx)
	if err != nil || len(running) == 0 {
		return err
	}
	return fmt.Errorf("flux works on the same kinds in this cluster (%s). Two engines on one object undo each other's work.\n"+
		"Scale Flux's two controllers to zero first (its objects stay and Slipway takes them over), or pass --beside-flux if they "+
		"are kept apart otherwise", strings.Join(running, ", "))
}

// fluxControllers names the Deployments of Flux's own controllers for our kinds that aren't scaled to zero.
func (c *cluster) fluxControllers(ctx context.Context) ([]string, error) {
	var found appsv1.DeploymentList
	if err := c.List(ctx, &found, client.MatchingLabels{partOfLabel: "flux"}); err != nil {
		return nil, fmt.Errorf("look for Flux's controllers: %w", err)
	}
	var running []string
	for _, d := range found.Items {
		component := cmp.Or(d.Labels["app.kubernetes.io/component"], d.Name)
		scaledDown := d.Spec.Replicas != nil && *d.Spec.Replicas == 0
		if !scaledDown && (component == "kustomize-controller" || component == "source-controller") {
			running = append(running, d.Namespace+"/"+d.Name)
		}
	}
	return running, nil
}

// waitEstablished waits until the API server serves the kind of a CRD.
func (c *cluster) waitEstablished(ctx context.Context, name string) error {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	crd.Name = name
	newList := func() client.ObjectList { return &apiextensionsv1.CustomResourceDefinitionList{} }
	err := c.watchOne(ctx, crd, newList, func(now client.Object) (bool, error) {
		for _, condition := range now.(*apiextensionsv1.CustomResourceDefinition).Status.Conditions {
			if condition.Type == apiextensionsv1.Established {
				return condition.Status == apiextensionsv1.ConditionTrue, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait until CRD %s is established: %w", name, err)
	}
	return nil
}

// waitAgent waits until all replicas of the agent run what was applied last.
func (c *cluster) waitAgent(ctx context.Context) error {
	agent := &appsv1.StatefulSet{}
	agent.Namespace, agent.Name = deploy.Namespace, deploy.Agent
	newList := func() client.ObjectList { return &appsv1.StatefulSetList{} }
	err := c.watchOne(ctx, agent, newList, func(now client.Object) (bool, error) {
		return rolledOut(now.(*appsv1.StatefulSet)), nil
	})
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	// ctx is over; what is wrong with the pods is still worth asking.
	why := c.podTroubles(context.WithoutCancel(ctx))
	return fmt.Errorf("the agent doesn't run yet: %s", cmp.Or(why, err.Error()))
}

func rolledOut(s *appsv1.StatefulSet) bool {
	replicas := int32(1)
	if s.Spec.Replicas != nil {
		replicas = *s.Spec.Replicas
	}
	return s.Status.ObservedGeneration >= s.Generation &&
		s.Status.UpdatedReplicas == replicas && s.Status.ReadyReplicas == replicas
}

// podTroubles says what keeps the agent's pods from running, or "".
func (c *cluster) podTroubles(ctx context.Context) string {
	var pods corev1.PodList
	err := c.List(ctx, &pods, client.InNamespace(deploy.Namespace), client.MatchingLabels(deploy.AgentLabels()))
	if err != nil {
		return ""
	}
	if len(pods.Items) == 0 {
		return "there are no pods yet; 'kubectl describe statefulset slipway-agent -n slipway-system' may say why"
	}
	var troubles []string
	for i := range pods.Items {
		if trouble := podTrouble(&pods.Items[i]); trouble != "" {
			troubles = append(troubles, fmt.Sprintf("pod %s: %s", pods.Items[i].Name, trouble))
		}
	}
	if slices.ContainsFunc(pods.Items, lacksImage) {
		troubles = append(troubles, imageAdvice)
	}
	return strings.Join(troubles, "; ")
}

// imageAdvice is what to do about pods whose image nobody has: there is no public registry with it. docs/install.md says the same.
const imageAdvice = `no registry that the nodes ask has this image, or they may not read it there.
Make one with 'slipway image build', push it to a registry of yours and name it with 'slipway install --image REF'; ` +
	`in a lab, 'slipway image load' is enough`

// lacksImage reports whether a pod waits for an image that can't be pulled.
func lacksImage(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
		if status.State.Waiting == nil {
			return false
		}
		switch status.State.Waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable":
			return true
		}
		return false
	})
}

func podTrouble(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		switch {
		case status.State.Waiting != nil:
			return strings.Trim(status.State.Waiting.Reason+": "+status.State.Waiting.Message, ": ")
		case status.LastTerminationState.Terminated != nil && !status.Ready:
			last := status.LastTerminationState.Terminated
			return fmt.Sprintf("ended with code %d (%s); 'slipway logs' tells more", last.ExitCode, last.Reason)
		case !status.Ready:
			return "runs but isn't ready; 'slipway logs' tells more"
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status != corev1.ConditionTrue && condition.Message != "" {
			return condition.Reason + ": " + condition.Message
		}
	}
	return ""
}

// missingNamespace reports whether the agent's namespace is still to be created.
func (c *cluster) missingNamespace(ctx context.Context) (bool, error) {
	err := c.Get(ctx, client.ObjectKey{Name: deploy.Namespace}, &corev1.Namespace{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read namespace %s: %w", deploy.Namespace, err)
	}
	return err != nil, nil
}

// prunable are the kinds of which one install may have objects that the next one hasn't: an overlay's own, a grant's, monitoring, and the
// generated settings, whose name follows their content.
func prunable() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		{Version: "v1", Kind: "ConfigMap"},
		{Version: "v1", Kind: "Service"},
		{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
		{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
		{Group: monitoringGroup, Version: "v1", Kind: "PodMonitor"},
		{Group: monitoringGroup, Version: "v1", Kind: "PrometheusRule"},
	}
}

// leftovers lists what an earlier install has applied and objs doesn't have.
func (c *cluster) leftovers(ctx context.Context, objs []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	wanted := map[string]bool{}
	for _, obj := range objs {
		wanted[kube.RefOf(obj).Subject()] = true
	}
	var extra []*unstructured.Unstructured
	for _, gvk := range prunable() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		err := c.List(ctx, list, client.MatchingLabels{partOfLabel: "slipway"})
		if meta.IsNoMatchError(err) {
			continue // what the cluster does not know it has none of
		}
		if err != nil {
			return nil, fmt.Errorf("look for what an earlier install left: %w", err)
		}
		for i := range list.Items {
			obj := &list.Items[i]
			ours := obj.GetNamespace() == "" || obj.GetNamespace() == deploy.Namespace
			if ours && appliedByInstall(obj) && !wanted[kube.RefOf(obj).Subject()] {
				extra = append(extra, obj)
			}
		}
	}
	return extra, nil
}

// appliedByInstall tells what 'slipway install' made from what others labelled alike.
func appliedByInstall(obj *unstructured.Unstructured) bool {
	for _, entry := range obj.GetManagedFields() {
		if entry.Manager == string(installManager) {
			return true
		}
	}
	return false
}

func (a *App) pruneInstall(ctx context.Context, c *cluster, objs []*unstructured.Unstructured) error {
	extra, err := c.leftovers(ctx, objs)
	if err != nil {
		return err
	}
	for _, obj := range extra {
		if err := c.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s: %w", kube.RefOf(obj).Subject(), err)
		}
		a.donef("%s deleted", kube.RefOf(obj).Subject())
	}
	return nil
}
