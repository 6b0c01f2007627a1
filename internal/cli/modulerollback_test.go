package cli

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func TestModuleRollback(t *testing.T) {
	irreversible := func(s *v1alpha1.ModuleStatus) {
		underWay(v1alpha1.PhaseFrozen)(s)
		s.Plan.Reversible, s.Plan.Irreversible = false, []string{"a webhook converts"}
	}
	committing := func(s *v1alpha1.ModuleStatus) {
		underWay(v1alpha1.PhaseCommitting)(s)
		s.Attempt.CommitBegan = new(metav1.Now())
	}
	cases := map[string]struct {
		reason string
		begin  func(*v1alpha1.ModuleStatus)
		args   []string
		on     func(*v1alpha1.Module) bool
		code   int
		parts  []string
	}{
		"Applying":     {"what is under way is taken back, and that is a success", underWay(v1alpha1.PhaseApplying), nil, annotated(v1alpha1.RollbackAnnotation, newDigest), ExitDone, []string{"1.5.0 of module", "is taken back", "RollingBack", "RolledBack"}},
		"Frozen":       {"and what is frozen", underWay(v1alpha1.PhaseFrozen), nil, annotated(v1alpha1.RollbackAnnotation, newDigest), ExitDone, []string{"RolledBack"}},
		"Irreversible": {"what can't be taken back isn't", irreversible, nil, nil, ExitFailed, []string{"can't be taken back: a webhook converts", "--force"}},
		"Forced":       {"but with force, for this digest", irreversible, []string{"--force"}, annotated(v1alpha1.ForceAnnotation, newDigest), ExitDone, []string{"RolledBack"}},
		"Committing":   {"after the commit has begun there is only forward", committing, nil, nil, ExitFailed, []string{"the commit of 1.5.0 has begun", "--to"}},
		"Installed":    {"what is committed can't be taken back", committed, nil, nil, ExitFailed, []string{"nothing of module", "--to VERSION"}},
		"Already":      {"it was taken back", takenBack, nil, nil, ExitFailed, []string{"was taken back already"}},
		"To":           {"an older version is wanted like any other", committed, []string{"--to", "1.4.2"}, func(m *v1alpha1.Module) bool { return m.Spec.Version == "1.4.2" }, ExitDone, []string{"wants 1.4.2 instead of >=1.4 <2", "Planned"}},
		"ToBetween":    {"not from between two versions", underWay(v1alpha1.PhaseFrozen), []string{"--to", "1.4.2"}, nil, ExitFailed, []string{"between two versions"}},
		"DryRun":       {"nothing is changed", underWay(v1alpha1.PhaseApplying), []string{"--dry-run"}, nil, ExitDone, []string{"would be taken back"}},
	}
	w := newModulesWorld(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &modulesWorld{&world{cluster: w.cluster, t: t, kubeconfig: w.kubeconfig}, w.name}
			m := w.module(w.name+"-"+strings.ToLower(name), nil, tc.begin)
			if tc.on != nil {
				steps := []func(*v1alpha1.ModuleStatus){underWay(v1alpha1.PhaseRollingBack), takenBack}
				if name == "To" {
					steps = []func(*v1alpha1.ModuleStatus){planned("an approval")}
				}
				w.agent(m, once(tc.on, steps...))
			}
			w.slipway(append([]string{"module", "rollback", m.Name, "--yes"}, tc.args...)...).want(t, tc.code, tc.parts...)
		})
	}
}

func TestModulePauseAndResume(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, underWay(v1alpha1.PhaseApplying))
	m.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "platform", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
	if err := w.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.slipway("module", "pause", m.Name, "--dry-run").want(t, ExitDone, "would be paused")
	if w.reload(m); m.Spec.Paused {
		t.Error("a dry run changed something")
	}
	w.slipway("module", "pause", m.Name).want(t, ExitDone, "is paused", "what has begun is finished", "delivered by Kustomization flux-system/platform: change it in Git")
	if w.reload(m); !m.Spec.Paused {
		t.Error("it isn't paused")
	}
	w.slipway("module", "pause", m.Name).want(t, ExitDone, "is paused already")
	w.status(m, planned("the end of the pause"))
	w.slipway("module", "upgrade", m.Name, "--yes").want(t, ExitFailed, "is paused", "slipway module resume")
	w.slipway("module", "resume", m.Name).want(t, ExitDone, "goes on")
	if w.reload(m); m.Spec.Paused {
		t.Error("it is still paused")
	}
	w.slipway("module", "resume", m.Name).want(t, ExitDone, "isn't paused")
}
