package simulate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// NodeAnnotation marks the nodes that are simulated. It is kwok's own, so
	// that its tools find them too.
	NodeAnnotation = "kwok.x-k8s.io/node"
	// NodeAnnotationValue is NodeAnnotation's value on such a node.
	NodeAnnotationValue = "fake"
)

// ensureNodes creates the nodes prefix-0 … prefix-(n-1) that are missing.
func ensureNodes(ctx context.Context, client kubernetes.Interface, prefix string, n int) error {
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	for i := range n {
		node := simulatedNode(fmt.Sprintf("%s-%d", prefix, i), version.GitVersion)
		_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node %s: %w", node.Name, err)
		}
	}
	return nil
}

// simulatedNode has room for as many pods as a real node, and more memory and
// processors than any test asks for.
func simulatedNode(name, kubeletVersion string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("1000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{NodeAnnotation: NodeAnnotationValue},
			Labels: map[string]string{
				corev1.LabelHostname:             name,
				corev1.LabelOSStable:             "linux",
				corev1.LabelArchStable:           "amd64",
				corev1.LabelTopologyZone:         "simulated",
				"slipway.dev/node":               "simulated",
				"node-role.kubernetes.io/worker": "",
			},
		},
		Status: corev1.NodeStatus{
			Capacity:    room,
			Allocatable: room,
			NodeInfo: corev1.NodeSystemInfo{
				OperatingSystem: "linux",
				Architecture:    "amd64",
				KubeletVersion:  kubeletVersion,
				OSImage:         "simulated",
			},
		},
	}
}
