package delivery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// holdup is an object that isn't healthy, and why.
type holdup struct {
	ref     kube.Ref
	verdict health.Verdict
}

func (h holdup) String() string {
	return fmt.Sprintf("%s: %s", h.ref.Subject(), cmp.Or(h.verdict.Message, h.verdict.Reason, "is not healthy"))
}

// maxNamed is how many of the objects that hold things up a message names.
const maxNamed = 3

// worstFirst puts those first that waiting alone does not mend.
func worstFirst(held []holdup) {
	rank := map[health.State]int{health.Degraded: 0, health.Unknown: 1, health.Progressing: 2}
	slices.SortStableFunc(held, func(a, b holdup) int { return cmp.Compare(rank[a.verdict.State], rank[b.verdict.State]) })
}

// describe names the objects that hold things up, the worst first, with the pod that keeps the first one from being healthy.
func (t *task) describe(ctx context.Context, held []holdup) string {
	parts := make([]string, 0, maxNamed+1)
	for i, h := range held {
		if i == maxNamed {
			parts = append(parts, fmt.Sprintf("and %d more", len(held)-maxNamed))
			break
		}
		part := h.String()
		if i == 0 {
			part += t.podOf(ctx, h)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

var podRef = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

// maxPods bounds the pods that are looked at for a message.
const maxPods = 100

// podOf says which pod of a workload is in the worst state, as the rest of a sentence; empty where there is none, or where the service
// account may not look. It costs two requests, and is asked for only when a message is about to be written.
func (t *task) podOf(ctx context.Context, h holdup) string {
	if !hasPods(h.ref.GroupKind()) {
		return ""
	}
	id := t.identity(t.obj)
	workload, err := t.clients.Get(ctx, id, h.ref)
	if err != nil {
		return ""
	}
	pods := t.podsOf(ctx, id, workload)
	var worst *holdup
	for i := range pods {
		verdict := health.Assess(&pods[i])
		if verdict.State == health.Healthy || worst != nil && (worst.verdict.State == health.Degraded || verdict.State != health.Degraded) {
			continue
		}
		worst = &holdup{ref: kube.RefOf(&pods[i]), verdict: verdict}
	}
	if worst == nil {
		return ""
	}
	return fmt.Sprintf(": pod %s: %s", worst.ref.Name, worst.verdict.Message)
}

// podsOf lists the pods that a workload selects, the newest first.
func (t *task) podsOf(ctx context.Context, id kube.Identity, workload *unstructured.Unstructured) []unstructured.Unstructured {
	raw, ok, err := unstructured.NestedMap(workload.Object, "spec", "selector")
	if err != nil || !ok {
		return nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil
	}
	chosen, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil || chosen.Empty() {
		return nil
	}
	mapping, err := t.clients.Mapping(podRef.GroupKind(), podRef.Version)
	if err != nil {
		return nil
	}
	client, err := t.clients.For(id)
	if err != nil {
		return nil
	}
	list, err := client.Dynamic.Resource(mapping.Resource).Namespace(workload.GetNamespace()).
		List(ctx, metav1.ListOptions{LabelSelector: chosen.String(), Limit: maxPods, ResourceVersion: "0"})
	if err != nil {
		return nil
	}
	slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int {
		return b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time)
	})
	return list.Items
}

func hasPods(kind schema.GroupKind) bool {
	switch kind.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		return kind.Group == "apps"
	case "Job":
		return kind.Group == "batch"
	}
	return false
}
