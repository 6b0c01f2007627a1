package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// Digests of two targets.
var (
	oldDigest = v1alpha1.Digest("sha256:" + strings.Repeat("a", 64))
	newDigest = v1alpha1.Digest("sha256:" + strings.Repeat("b", 64))
)

// modulesWorld is a cluster with the agent's namespace. Modules have no namespace: each test has names of its own.
type modulesWorld struct {
	*world

	name string
}

func newModulesWorld(t *testing.T) *modulesWorld {
	t.Helper()
	return modulesWorldIn(t, newWorld(t))
}

func modulesWorldIn(t *testing.T, w *world) *modulesWorld {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deploy.Namespace}}
	if err := w.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return &modulesWorld{w, "m" + w.namespace[max(0, len(w.namespace)-20):]}
}

// module makes a Module with a status.
func (w *modulesWorld) module(name string, spec func(*v1alpha1.ModuleSpec), status func(*v1alpha1.ModuleStatus)) *v1alpha1.Module {
	w.t.Helper()
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://registry.example.com/packages/runner"}}, Version: ">=1.4 <2"},
	}
	if spec != nil {
		spec(&m.Spec)
	}
	if err := w.Create(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.Get(ctx, client.ObjectKeyFromObject(m), m); err == nil && len(m.Finalizers) > 0 {
			m.Finalizers = nil
			_ = w.Update(ctx, m)
		}
		_ = w.Delete(ctx, m)
	})
	if status != nil {
		w.status(m, status)
	}
	return m
}

// status writes what the agent would.
func (w *modulesWorld) status(m *v1alpha1.Module, change func(*v1alpha1.ModuleStatus)) {
	w.t.Helper()
	before := m.DeepCopy()
	change(&m.Status)
	m.Status.ObservedGeneration = m.Generation
	if err := w.Status().Patch(w.t.Context(), m, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// at is a phase, with the agent's words.
func at(s *v1alpha1.ModuleStatus, phase v1alpha1.ModulePhase, message string) {
	ready := metav1.ConditionFalse
	if phase == v1alpha1.PhaseInstalled {
		ready = metav1.ConditionTrue
	}
	s.Phase, s.PhaseSince = phase, new(metav1.Now())
	s.Conditions = []metav1.Condition{condition(v1alpha1.ReadyCondition, ready, string(phase), message)}
}

func installedAt(version string, digest v1alpha1.Digest, revision string) *v1alpha1.RevisionReference {
	return &v1alpha1.RevisionReference{Version: version, Digest: digest, Revision: revision}
}

// planned is a module with 1.4.2 installed, and a plan for 1.5.0 that waits.
func planned(waits ...string) func(*v1alpha1.ModuleStatus) {
	return func(s *v1alpha1.ModuleStatus) {
		at(s, v1alpha1.PhasePlanned, "1.5.0 waits")
		s.Current, s.Target = installedAt("1.4.2", oldDigest, ""), installedAt("1.5.0", newDigest, "")
		s.Plan = &v1alpha1.PlanSummary{
			Digest: newDigest, At: metav1.NewTime(time.Now().Add(-time.Hour)), Reversible: true, Objects: v1alpha1.ObjectCounts{Create: 1, Update: 4, Delete: 1, Unchanged: 37},
			AddedPermissions: []string{`get,list secrets in group "" (namespace runners)`}, WaitsFor: waits,
		}
	}
}

// underWay is an attempt for 1.5.0 in a phase.
func underWay(phase v1alpha1.ModulePhase) func(*v1alpha1.ModuleStatus) {
	return func(s *v1alpha1.ModuleStatus) {
		planned()(s)
		at(s, phase, "1.5.0 is "+string(phase))
		s.Plan.WaitsFor = nil
		s.Attempt = &v1alpha1.Attempt{
			Target: *installedAt("1.5.0", newDigest, ""), Began: metav1.Now(), Deadline: metav1.NewTime(time.Now().Add(10 * time.Minute)), Step: v1alpha1.StepWorkloads,
		}
		if phase == v1alpha1.PhaseFrozen {
			s.Attempt.Failure = &v1alpha1.Failure{Reason: "Unhealthy", Message: "Deployment/runners/runner: no image", At: metav1.Now()}
		}
	}
}

// agent plays the agent for one Module: each state that answer returns is written, for each change of the Module that it is called with, once
// the command that follows the Module has shown the state before: who begins to look later doesn't see what lies between.
func (w *modulesWorld) agent(m *v1alpha1.Module, answer func(*v1alpha1.Module) []func(*v1alpha1.ModuleStatus)) {
	w.t.Helper()
	w.following(&v1alpha1.ModuleList{}, client.MatchingFields{"metadata.name": m.Name}, func(ctx context.Context, obj runtime.Object) {
		m, ok := obj.(*v1alpha1.Module)
		if !ok {
			return
		}
		for _, step := range answer(m) {
			if err := w.shown(ctx, m.Status.Phase); err != nil && w.t.Context().Err() == nil {
				w.t.Errorf("play the agent: %v", err)
			}
			before := m.DeepCopy()
			step(&m.Status)
			m.Status.ObservedGeneration = m.Generation
			if err := w.Status().Patch(ctx, m, client.MergeFrom(before)); err != nil && ctx.Err() == nil {
				w.t.Errorf("play the agent: %v", err)
			}
		}
	})
}

// shown waits until a command that follows a Module has shown that it is in a phase.
func (w *modulesWorld) shown(ctx context.Context, phase v1alpha1.ModulePhase) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = w.said.have("  " + string(phase)) // after the time
		return last == nil, nil
	})
	return cmp.Or(last, err)
}

// once answers only the first Module that fits.
func once(fits func(*v1alpha1.Module) bool, steps ...func(*v1alpha1.ModuleStatus)) func(*v1alpha1.Module) []func(*v1alpha1.ModuleStatus) {
	told := false
	return func(m *v1alpha1.Module) []func(*v1alpha1.ModuleStatus) {
		if told || !fits(m) {
			return nil
		}
		told = true
		return steps
	}
}

func annotated(key string, value v1alpha1.Digest) func(*v1alpha1.Module) bool {
	return func(m *v1alpha1.Module) bool { return m.Annotations[key] == string(value) }
}

// committed is the end of an attempt for 1.5.0.
func committed(s *v1alpha1.ModuleStatus) {
	at(s, v1alpha1.PhaseInstalled, "1.5.0 is installed")
	s.Current, s.Target, s.Attempt = installedAt("1.5.0", newDigest, ""), nil, nil
}

// takenBack is the other end.
func takenBack(s *v1alpha1.ModuleStatus) {
	at(s, v1alpha1.PhaseRolledBack, "1.5.0 failed and was taken back")
	s.Attempt = nil
	failure := v1alpha1.Failure{Reason: "DeadlinePassed", Message: "Deployment/runners/runner: 0 of 1 ready", At: metav1.Now()}
	s.Rejected = []v1alpha1.Rejection{{Failure: failure, Digest: newDigest, Version: "1.5.0"}}
}

// stored stores a revision of a module: what it brings, with a namespace of the test.
func (w *modulesWorld) stored(m *v1alpha1.Module, number int64, version string, objects ...map[string]any) *v1alpha1.ModuleRevision {
	w.t.Helper()
	var all []*unstructured.Unstructured
	for _, fields := range objects {
		all = append(all, &unstructured.Unstructured{Object: fields})
	}
	steps := revision.Split(all)
	r := &v1alpha1.ModuleRevision{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", m.Name, number)},
		Spec: v1alpha1.ModuleRevisionSpec{
			Module: m.Name, Number: number, Version: version, Digest: revision.Digest(steps), Namespace: w.namespace, Reversible: true,
			Package: v1alpha1.ResolvedPackage{Name: "runner", URL: "oci://registry.example.com/packages/runner", Digest: oldDigest},
		},
	}
	if err := revision.NewStore(w.cluster, deploy.Namespace).Save(w.t.Context(), r, steps, nil, []byte("{}")); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = w.Delete(ctx, r)
	})
	return r
}
