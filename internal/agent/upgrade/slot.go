package upgrade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

const (
	// SlotLabel is on what a slot consists of, and on its pods.
	SlotLabel = term.SlotAnnotation
	// SlotEnv tells a process its slot.
	SlotEnv = "SLIPWAY_SLOT"
	// replicasAnnotation keeps how many replicas a slot had before it was scaled to nothing.
	replicasAnnotation = "slipway.dev/replicas"
	// upgradeAnnotation names the attempt that made an object.
	upgradeAnnotation = "slipway.dev/upgrade"
	// versionAnnotation is the version that an attempt has put into a slot, for people.
	versionAnnotation = "slipway.dev/version"
)

// errSuperseded is when a slot was written in a later term than the one that this process knows.
var errSuperseded = errors.New("another agent works by now")

// Workload is the name of a slot's StatefulSet.
func (n Names) Workload(slot v1alpha1.AgentSlot) string {
	if slot == v1alpha1.SlotB {
		return n.Agent + "-b"
	}
	return n.Agent
}

// slot reads a slot's StatefulSet; nil if it isn't there.
func (d *Driver) slot(ctx context.Context, slot v1alpha1.AgentSlot) (*appsv1.StatefulSet, error) {
	s := &appsv1.StatefulSet{}
	err := d.opts.Client.Get(ctx, client.ObjectKey{Namespace: d.opts.Namespace, Name: d.opts.Name.Workload(slot)}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read slot %s: %w", slot, err)
	}
	return s, nil
}

// change changes a slot's StatefulSet in the term that the process knows: one write, which the API server refuses if the object has changed
// since, and which isn't sent if it was written in a later term. It is done once the next look finds nothing to change; change says
// whether there is something.
func (a *attempt) change(ctx context.Context, s *appsv1.StatefulSet, change func(*appsv1.StatefulSet) bool) (bool, error) {
	if term.Stamped(s) > a.holder.Term {
		return false, fmt.Errorf("slot %s: %w, in term %d", s.Name, errSuperseded, term.Stamped(s))
	}
	changed := change(s)
	if !changed && term.Stamped(s) == a.holder.Term {
		return true, nil
	}
	term.Stamp(s, a.holder.Term)
	if err := a.opts.Client.Update(ctx, s); err != nil {
		return false, ifNotConflict(fmt.Errorf("write slot %s: %w", s.Name, err))
	}
	a.wrote = true
	return false, nil
}

// scaleDown scales a slot to nothing and remembers what it had.
func scaleDown(s *appsv1.StatefulSet) bool {
	if replicasOf(s) == 0 {
		return false
	}
	annotate(s, replicasAnnotation, strconv.Itoa(int(replicasOf(s))))
	s.Spec.Replicas = new(int32(0))
	return true
}

// scaleUp gives a slot what it had before it was scaled to nothing.
func scaleUp(s *appsv1.StatefulSet) bool {
	if replicasOf(s) > 0 {
		return false
	}
	s.Spec.Replicas = new(hadReplicas(s))
	return true
}

func replicasOf(s *appsv1.StatefulSet) int32 {
	if s.Spec.Replicas == nil {
		return 1
	}
	return *s.Spec.Replicas
}

// hadReplicas is how many replicas a slot has, or had before it was scaled to nothing; at least one.
func hadReplicas(s *appsv1.StatefulSet) int32 {
	if n := replicasOf(s); n > 0 {
		return n
	}
	n, err := strconv.ParseInt(s.Annotations[replicasAnnotation], 10, 32)
	if err != nil {
		return 1
	}
	return int32(max(n, 1))
}

func annotate(obj metav1.Object, key, value string) {
	annotations := maps.Clone(obj.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}

// likeness makes a slot of the other one: the same but for its name, its label and the image.
func (d *Driver) likeness(of *appsv1.StatefulSet, build v1alpha1.AgentBuild) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.opts.Namespace, Name: d.opts.Name.Workload(build.Slot), Labels: labelled(of.Labels, build.Slot)},
		Spec:       *of.Spec.DeepCopy(),
	}
	s.Spec.Replicas = new(hadReplicas(of))
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: maps.Clone(of.Spec.Selector.MatchLabels)}
	if delete(s.Spec.Selector.MatchLabels, SlotLabel); build.Slot != v1alpha1.SlotA {
		// Slot a is what 'slipway install' makes, and its selector can't be changed: it matches more pods than it owns.
		s.Spec.Selector.MatchLabels[SlotLabel] = string(build.Slot)
	}
	s.Spec.Template = d.podOf(of, build, string(build.Slot))
	return s
}

// podOf is the pod template of a slot with another build. label is the slot's, or says what else the pod is.
func (d *Driver) podOf(of *appsv1.StatefulSet, build v1alpha1.AgentBuild, label string) corev1.PodTemplateSpec {
	pod := *of.Spec.Template.DeepCopy()
	was := pod.Labels[SlotLabel]
	pod.Labels = labelled(pod.Labels, v1alpha1.AgentSlot(label))
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if c.Name != d.opts.Name.Container {
			continue
		}
		c.Image = build.Image
		setEnv(c, SlotEnv, string(build.Slot))
	}
	reselect := func(s *metav1.LabelSelector) {
		if s != nil && was != "" && s.MatchLabels[SlotLabel] == was {
			s.MatchLabels[SlotLabel] = label
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		reselect(pod.Spec.TopologySpreadConstraints[i].LabelSelector)
	}
	if pod.Spec.Affinity != nil && pod.Spec.Affinity.PodAntiAffinity != nil {
		apart := pod.Spec.Affinity.PodAntiAffinity
		for i := range apart.RequiredDuringSchedulingIgnoredDuringExecution {
			reselect(apart.RequiredDuringSchedulingIgnoredDuringExecution[i].LabelSelector)
		}
		for i := range apart.PreferredDuringSchedulingIgnoredDuringExecution {
			reselect(apart.PreferredDuringSchedulingIgnoredDuringExecution[i].PodAffinityTerm.LabelSelector)
		}
	}
	return pod
}

func labelled(labels map[string]string, slot v1alpha1.AgentSlot) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[SlotLabel] = string(slot)
	return labels
}

func setEnv(c *corev1.Container, name, value string) {
	for i := range c.Env {
		if c.Env[i].Name == name {
			c.Env[i] = corev1.EnvVar{Name: name, Value: value}
			return
		}
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
}

// imageOf is the image of the container that does the work.
func (d *Driver) imageOf(pod corev1.PodSpec) string {
	for _, c := range pod.Containers {
		if c.Name == d.opts.Name.Container {
			return c.Image
		}
	}
	return ""
}
