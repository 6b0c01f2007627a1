package simulate

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestEnsureNodes(t *testing.T) {
	existing := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "sim-1", Labels: map[string]string{"kept": "yes"}}}
	cases := map[string]struct {
		reason string
		want   int
		nodes  []string
	}{
		"Missing": {reason: "nodes that are missing are created beside those that exist", want: 3, nodes: []string{"sim-0", "sim-1", "sim-2"}},
		"None":    {reason: "asked for none, none is created and none is taken away", want: 0, nodes: []string{"sim-1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(existing.DeepCopy())
			if err := ensureNodes(t.Context(), client, "sim", tc.want); err != nil {
				t.Fatal(err)
			}
			list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, node := range list.Items {
				names = append(names, node.Name)
				if node.Name == "sim-1" {
					if diff := cmp.Diff(existing.Labels, node.Labels); diff != "" {
						t.Errorf("an existing node was changed (-want +got):\n%s", diff)
					}
				} else if node.Annotations[NodeAnnotation] != NodeAnnotationValue {
					t.Errorf("node %s lacks the annotation by which it is kept alive", node.Name)
				}
			}
			if diff := cmp.Diff(tc.nodes, names); diff != "" {
				t.Errorf("%s: nodes (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestStagesCoverNodesAndPods(t *testing.T) {
	byKind, err := stages()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for ref, stages := range byKind {
		for _, stage := range stages {
			got[ref.Kind] = append(got[ref.Kind], stage.Name)
		}
	}
	want := map[string][]string{
		"Node": {"node-initialize", "node-heartbeat-with-lease"},
		"Pod":  {"pod-ready", "pod-complete", "pod-delete"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stages that kwok plays (-want +got):\n%s", diff)
	}
}

func TestRunRefusesNonsense(t *testing.T) {
	cases := map[string]struct {
		reason     string
		kubeconfig string
		opts       Options
	}{
		"Negative":   {reason: "a negative number of nodes", opts: Options{Nodes: -1, Prefix: "sim"}},
		"NoPrefix":   {reason: "nodes without a name", opts: Options{Nodes: 1}},
		"Kubeconfig": {reason: "no cluster", kubeconfig: "/nonexistent/kubeconfig", opts: Options{Nodes: 1, Prefix: "sim"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := Run(ctx, tc.kubeconfig, tc.opts); err == nil {
				t.Errorf("%s: got no error", tc.reason)
			}
		})
	}
}
