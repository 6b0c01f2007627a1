package cli

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// The approval names the digest that was shown; what follows is shown as it happens.
func TestModuleUpgradeApprovesWhatIsShown(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, planned("an approval of it"))
	w.slipway("module", "upgrade", m.Name).want(t, ExitUsage, "--yes")
	w.slipway("module", "upgrade", m.Name, "--dry-run").want(t, ExitDone, "1.4.2 → 1.5.0: 1 objects to create, 4 to change", "New right: get,list secrets", "1.5.0 of module "+m.Name+" would be approved")
	if w.reload(m); len(m.Annotations) > 0 {
		t.Errorf("a dry run changed something: %v", m.Annotations)
	}
	w.agent(m, once(annotated(v1alpha1.ApproveAnnotation, newDigest), underWay(v1alpha1.PhaseApplying), underWay(v1alpha1.PhaseSoaking), committed))
	w.slipway("module", "upgrade", m.Name, "--yes").want(t, ExitDone, "is approved ("+string(newDigest), "Applying (1.4.2 → 1.5.0) step workloads, until", "Soaking (1.4.2 → 1.5.0)", "Installed (1.5.0): 1.5.0 is installed")
}

func TestModuleUpgradeEnds(t *testing.T) {
	frozen := underWay(v1alpha1.PhaseFrozen)
	blocked := func(s *v1alpha1.ModuleStatus) {
		planned()(s)
		at(s, v1alpha1.PhaseBlocked, "the plan has problems")
		s.Plan.Problems, s.Plan.ProblemCount = []v1alpha1.PlanProblem{{Check: "Permissions", Message: "grant get on secrets"}}, 1
	}
	again := func(s *v1alpha1.ModuleStatus) {
		planned("a window: the next one opens on Mon")(s)
		s.Plan.At = metav1.Now()
	}
	cases := map[string]struct {
		reason string
		begin  func(*v1alpha1.ModuleStatus)
		args   []string
		on     func(*v1alpha1.Module) bool
		steps  []func(*v1alpha1.ModuleStatus)
		code   int
		parts  []string
	}{
		"TakenBack": {"a failure that was taken back is a failure", planned("an approval"), nil, annotated(v1alpha1.ApproveAnnotation, newDigest), []func(*v1alpha1.ModuleStatus){underWay(v1alpha1.PhaseApplying), takenBack}, ExitFailed, []string{"was taken back: Deployment/runners/runner: 0 of 1 ready"}},
		"Frozen":    {"frozen says why, and where to look", planned("an approval"), nil, annotated(v1alpha1.ApproveAnnotation, newDigest), []func(*v1alpha1.ModuleStatus){underWay(v1alpha1.PhaseApplying), frozen}, ExitFailed, []string{"is frozen: Deployment/runners/runner: no image", "slipway module show"}},
		"Window":    {"approved, and waits for its time: that is all a person can do", planned("an approval"), nil, annotated(v1alpha1.ApproveAnnotation, newDigest), []func(*v1alpha1.ModuleStatus){again}, ExitDone, []string{"waits for a window: the next one opens on Mon"}},
		"Blocked":   {"a plan with problems can't be approved", blocked, nil, nil, nil, ExitFailed, []string{"Permissions: grant get on secrets", "nothing was changed"}},
		"Failed":    {"what failed isn't tried again just so", takenBack, nil, nil, nil, ExitFailed, []string{"1.5.0 of module", "failed: Deployment/runners/runner", "--retry"}},
		"Retry":     {"but with a word", takenBack, []string{"--retry"}, annotated(v1alpha1.RetryAnnotation, newDigest), []func(*v1alpha1.ModuleStatus){underWay(v1alpha1.PhaseApplying), committed}, ExitDone, []string{"tries sha256:bbbbbbbbbbbb again", "Installed (1.5.0)"}},
		"Forward":   {"an approval leads forward out of Frozen", frozen, nil, annotated(v1alpha1.ApproveAnnotation, newDigest), []func(*v1alpha1.ModuleStatus){underWay(v1alpha1.PhaseApplying), committed}, ExitDone, []string{"Installed (1.5.0)"}},
		"Silence":   {"nobody answers", planned("an approval"), []string{"--timeout", "1s"}, nil, nil, ExitFailed, []string{"the time is over", "slipway check"}},
		"NoWait":    {"nobody is waited for", planned("an approval"), []string{"--no-wait"}, nil, nil, ExitDone, []string{"is approved"}},
	}
	w := newModulesWorld(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &modulesWorld{&world{cluster: w.cluster, t: t, kubeconfig: w.kubeconfig}, w.name}
			m := w.module(w.name+"-"+strings.ToLower(name), nil, tc.begin)
			if tc.on != nil {
				w.agent(m, once(tc.on, tc.steps...))
			}
			w.slipway(append([]string{"module", "upgrade", m.Name, "--yes"}, tc.args...)...).want(t, tc.code, tc.parts...)
		})
	}
}

func TestModuleUpgradeWantsAVersion(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, func(s *v1alpha1.ModuleSpec) {
		s.Catalogue = &v1alpha1.Catalogue{Channel: "stable", ConfigMap: &v1alpha1.ConfigMapReference{Name: "platform"}}
	}, planned("an approval"))
	w.slipway("module", "upgrade", m.Name, "--version", "1.6.0", "--dry-run").want(t, ExitDone, "would want 1.6.0 instead of >=1.4 <2", "follows a catalogue")
	w.agent(m, once(func(m *v1alpha1.Module) bool { return m.Spec.Version == "1.6.0" }, func(s *v1alpha1.ModuleStatus) {
		planned("an approval of sha256:c")(s)
		s.Plan.At = metav1.Now()
	}))
	w.slipway("module", "upgrade", m.Name, "--version", "1.6.0", "--yes").want(t, ExitDone, "wants 1.6.0", "waits for an approval of sha256:c")
}

// Without a plan the agent is asked to look, and what it says is told.
func TestModuleUpgradeLooks(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, committed)
	told := false
	w.agent(m, func(m *v1alpha1.Module) []func(*v1alpha1.ModuleStatus) {
		request, asked := meta.ReconcileAnnotationValue(m.Annotations)
		if !asked || told {
			return nil
		}
		told = true
		return []func(*v1alpha1.ModuleStatus){func(s *v1alpha1.ModuleStatus) { s.LastHandledReconcileAt = request }}
	})
	w.slipway("module", "upgrade", m.Name).want(t, ExitDone, "nothing is planned: asking the agent", "1.5.0 of module "+m.Name+" is what is wanted: >=1.4 <2")
}

// What is under way is followed, and not begun again.
func TestModuleUpgradeFollowsWhatIsUnderWay(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, underWay(v1alpha1.PhaseApplying))
	saw := &transcript{}
	done := make(chan int, 1)
	go func() {
		done <- Run(t.Context(), Streams{In: strings.NewReader(""), Out: saw, Err: saw}, []string{"module", "upgrade", m.Name, "--kubeconfig", w.kubeconfig})
	}()
	w.eventually(func() error { return saw.have("Applying (1.4.2 → 1.5.0)") })
	w.status(m, committed)
	if code := <-done; code != ExitDone {
		t.Errorf("exit code %d", code)
	}
	for _, text := range []string{"is being changed already", "Installed (1.5.0): 1.5.0 is installed"} {
		if err := saw.have(text); err != nil {
			t.Error(err)
		}
	}
}
