package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// TestAgentModule: the agent is upgraded when its wanted version changes. The process that goes on after the hand-over is another one.
func TestAgentModule(t *testing.T) {
	h := newHarbour(t)
	old := h.agent(0)
	if next := h.is(old, "nothing newer is there", v1alpha1.PhaseInstalled, "1.0.0", "1.0.0 runs in slot a"); next != 10*time.Minute {
		t.Errorf("it is looked again after %s", next)
	}
	digest := h.push("1.1.0", time.Time{})
	h.push("2.0.0-rc.1", time.Time{})
	h.push("latest", time.Time{})
	h.is(old, "a newer version is there", v1alpha1.PhasePreparing, "1.0.0", "writing AgentUpgrade")
	u := h.the(upgradeName(digest, "1"))
	if u.Spec.To.Image != h.image("1.1.0") || u.Spec.To.Version != "1.1.0" || u.Spec.To.Slot != v1alpha1.SlotB || u.Spec.From.Image != h.image("1.0.0") {
		t.Errorf("it upgrades from %+v to %+v", u.Spec.From, u.Spec.To)
	}
	h.is(old, "nobody has looked at it yet", v1alpha1.PhaseApplying, "1.0.0", u.Name+" is Pending")
	h.play(u, v1alpha1.AgentUpgradeProbing, "")
	h.is(old, "the probe runs", v1alpha1.PhaseApplying, "1.0.0", u.Name+" is Probing")
	h.handOver("1.1.0")
	h.play(u, v1alpha1.AgentUpgradeProving, "")
	later := h.agent(0)
	h.is(later, "the new agent proves itself", v1alpha1.PhaseSoaking, "1.0.0", u.Name+" is Proving")
	if a := h.module.Status.Attempt; a == nil || a.Target.Version != "1.1.0" || a.Target.Package != "agent" || a.Target.Digest != digest || a.SoakBegan == nil || a.CommitBegan != nil {
		t.Errorf("the attempt is %+v", a)
	}
	h.play(u, v1alpha1.AgentUpgradeCommitting, "")
	h.is(later, "it is good", v1alpha1.PhaseCommitting, "1.0.0", u.Name+" is Committing")
	h.play(u, v1alpha1.AgentUpgradeCommitted, "")
	h.is(later, "it is the agent", v1alpha1.PhaseInstalled, "1.1.0", "1.1.0 runs in slot b")
	if s := h.module.Status; s.Attempt != nil || s.Target != nil || s.Current.Digest != digest || s.Current.Package != "agent" || len(h.upgrades()) != 1 {
		t.Errorf("%+v; %d AgentUpgrades", s, len(h.upgrades()))
	}
	h.push("1.1.0", time.Time{})
	h.is(later, "the tag was moved", v1alpha1.PhaseInstalled, "1.1.0", "1.1.0 runs in slot b")
	byHand := u.DeepCopy()
	byHand.ObjectMeta = metav1.ObjectMeta{Namespace: u.Namespace, Name: "by-hand"}
	byHand.Spec.From, byHand.Spec.To = u.Spec.To, u.Spec.From
	h.create(byHand)
	h.is(later, "a person upgrades it", v1alpha1.PhaseApplying, "1.1.0", "AgentUpgrade by-hand is Pending")
}

// TestAgentModuleTakenBack: what failed says why and isn't tried again by itself, whoever looks; a person may say so, once.
func TestAgentModuleTakenBack(t *testing.T) {
	h := newHarbour(t)
	digest := h.push("1.1.0", time.Time{})
	r := h.agent(0)
	h.is(r, "it begins", v1alpha1.PhasePreparing, "1.0.0")
	h.play(h.the(upgradeName(digest, "1")), v1alpha1.AgentUpgradeTakingBack, "ProbeFailed")
	h.is(r, "it is taken back", v1alpha1.PhaseRollingBack, "1.0.0")
	h.play(h.the(upgradeName(digest, "1")), v1alpha1.AgentUpgradeTakenBack, "ProbeFailed")
	for _, r := range []string{"was taken back", "isn't tried again", "nor by another process"} {
		h.is(h.agent(0), r, v1alpha1.PhaseRolledBack, "1.0.0", "ProbeFailed: it was seen", "slipway.dev/retry="+string(digest))
	}
	if rejected := h.module.Status.Rejected; len(rejected) != 1 || rejected[0].Digest != digest || rejected[0].Reason != "ProbeFailed" || len(h.upgrades()) != 1 {
		t.Errorf("%+v; %d AgentUpgrades", rejected, len(h.upgrades()))
	}
	h.now = h.now.Add(time.Minute)
	h.annotate(v1alpha1.RetryAnnotation, digest)
	h.is(r, "a person wants it", v1alpha1.PhasePreparing, "1.0.0")
	again := h.the(upgradeName(digest, "2"))
	if again.Annotations[v1alpha1.RetryAnnotation] != string(digest) {
		t.Error("the driver doesn't learn that a person wants it")
	}
	if h.module.Annotations[v1alpha1.RetryAnnotation] != "" {
		t.Error("the word of a person counts twice")
	}
	h.annotate(v1alpha1.RollbackAnnotation, digest)
	h.is(r, "a person wants it back", v1alpha1.PhaseApplying, "1.0.0")
	if again = h.the(again.Name); again.Annotations[v1alpha1.RollbackAnnotation] != string(digest) {
		t.Error("the driver doesn't learn that a person wants it back")
	}
	before := again.DeepCopy()
	again.Finalizers = nil
	if err := errors.Join(h.client.Patch(t.Context(), again, client.MergeFrom(before)), h.client.Delete(t.Context(), again)); err != nil {
		t.Fatal(err)
	}
	h.is(r, "it was deleted", v1alpha1.PhaseRolledBack, "1.0.0", "Deleted: ")
	h.is(h.agent(0), "that is remembered", v1alpha1.PhaseRolledBack, "1.0.0", "Deleted: ")
	other := h.push("1.2.0", time.Time{})
	h.is(r, "another version is another wish", v1alpha1.PhasePreparing, "1.0.0")
	h.the(upgradeName(other, "1"))
}

// TestCrashAgentModule ends the process after each single write: there is one AgentUpgrade for one wish, and it goes on.
func TestCrashAgentModule(t *testing.T) {
	for k := 1; ; k++ {
		done := false
		if !t.Run(fmt.Sprintf("write %d", k), func(t *testing.T) {
			h := newHarbour(t)
			digest := h.push("1.1.0", time.Time{})
			r, died := h.agent(k), false
			look := func(phase v1alpha1.ModulePhase, current string) {
				t.Helper()
				for range 5 {
					if _, err := h.looks(r); errors.Is(err, errEnded) {
						r, died = h.agent(0), true
						continue
					}
					if h.module.Status.Phase == phase && h.module.Status.Current.Version == current {
						return
					}
				}
				t.Fatalf("%+v, want %s and %s", h.module.Status, phase, current)
			}
			name := upgradeName(digest, "1")
			look(v1alpha1.PhaseApplying, "1.0.0")
			h.play(h.the(name), v1alpha1.AgentUpgradeTakenBack, "ProbeFailed")
			look(v1alpha1.PhaseRolledBack, "1.0.0")
			h.now = h.now.Add(time.Minute)
			h.annotate(v1alpha1.RetryAnnotation, digest)
			look(v1alpha1.PhaseApplying, "1.0.0")
			h.handOver("1.1.0")
			h.play(h.the(upgradeName(digest, "2")), v1alpha1.AgentUpgradeCommitted, "")
			look(v1alpha1.PhaseInstalled, "1.1.0")
			if n := len(h.upgrades()); n != 2 {
				t.Errorf("there are %d AgentUpgrades for a wish and another try", n)
			}
			done = !died
		}) || done {
			return
		}
	}
}

// TestAgentModuleWaits: when it begins is said as for every module.
func TestAgentModuleWaits(t *testing.T) {
	h := newHarbour(t, func(m *v1alpha1.Module) {
		m.Spec.Version = "^1"
		m.Spec.Upgrade = &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual, MinAge: &metav1.Duration{Duration: 24 * time.Hour}}
	})
	h.push("2.0.0", time.Time{})
	digest := h.push("1.1.0", h.now.Add(-23*time.Hour))
	r := h.agent(0)
	h.is(r, "a person has to approve it, and it is too young", v1alpha1.PhasePlanned, "1.0.0", "ApprovalNeeded: ", "1.1.0 is planned")
	h.annotate(v1alpha1.ApproveAnnotation, digest)
	if next := h.is(r, "it is too young", v1alpha1.PhasePlanned, "1.0.0", "Planned: "); next > 10*time.Minute {
		t.Errorf("it is looked again after %s", next)
	}
	h.change(func(m *v1alpha1.Module) { m.Spec.Paused = true })
	h.now = h.now.Add(2 * time.Hour)
	h.is(r, "it is paused", v1alpha1.PhasePlanned, "1.0.0", "the end of the pause")
	h.change(func(m *v1alpha1.Module) { m.Spec.Paused = false; m.Spec.Upgrade.Policy = v1alpha1.UpgradeNever })
	h.is(r, "nobody wants another one", v1alpha1.PhaseInstalled, "1.0.0", "spec.upgrade.policy is Never")
	h.change(func(m *v1alpha1.Module) { m.Spec.Upgrade.Policy = v1alpha1.UpgradeAutomatic })
	h.unguarded = "nobody asks who writes Modules"
	h.is(r, "nobody knows who wrote it", v1alpha1.PhaseBlocked, "1.0.0", "nobody asks who writes Modules")
	if n := len(h.upgrades()); n > 0 {
		t.Errorf("%d AgentUpgrades have begun", n)
	}
	h.unguarded = ""
	h.is(r, "nothing is in the way", v1alpha1.PhasePreparing, "1.0.0")
	h.the(upgradeName(digest, "1"))
}

// TestAgentModuleGuardedAgain: what guards the Module may be gone when a process goes on with what another one has begun, or takes it back.
func TestAgentModuleGuardedAgain(t *testing.T) {
	const unasked = "nobody asks who writes Modules"
	h := newHarbour(t)
	digest := h.push("1.1.0", time.Time{})
	if _, err := h.looks(h.agent(1)); !errors.Is(err, errEnded) || h.module.Status.Phase != v1alpha1.PhasePreparing {
		t.Fatalf("the process hasn't ended after its first write: %v, %s", err, h.module.Status.Phase)
	}
	h.unguarded = unasked
	h.is(h.agent(0), "it isn't begun", v1alpha1.PhaseBlocked, "1.0.0", unasked)
	if n := len(h.upgrades()); n > 0 || h.module.Status.Attempt != nil || len(h.module.Status.Rejected) > 0 {
		t.Fatalf("%d AgentUpgrades have begun; %+v", n, h.module.Status)
	}
	h.unguarded = ""
	r := h.agent(0)
	h.is(r, "nothing is in the way", v1alpha1.PhasePreparing, "1.0.0")
	h.annotate(v1alpha1.RollbackAnnotation, digest)
	h.unguarded = unasked
	h.is(r, "nobody knows who wants it back", v1alpha1.PhaseApplying, "1.0.0", "slipway.dev/rollback isn't heeded: "+unasked)
	if u := h.the(upgradeName(digest, "1")); u.Annotations[v1alpha1.RollbackAnnotation] != "" {
		t.Error("it is taken back")
	}
	h.unguarded = ""
	h.is(r, "a person wants it back", v1alpha1.PhaseApplying, "1.0.0")
	if u := h.the(upgradeName(digest, "1")); u.Annotations[v1alpha1.RollbackAnnotation] == "" {
		t.Error("it isn't taken back")
	}
}

// TestAgentModuleCatalogue: a catalogue may bind a version to its bytes; then no registry is asked.
func TestAgentModuleCatalogue(t *testing.T) {
	h := newHarbour(t, func(m *v1alpha1.Module) {
		m.Spec.Catalogue = &v1alpha1.Catalogue{Channel: "stable", ConfigMap: &v1alpha1.ConfigMapReference{Name: "platform"}}
	})
	digest := h.push("1.1.0", time.Time{})
	catalogue := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: h.env.Namespace, Name: "platform"}}
	says := func(version string) {
		t.Helper()
		catalogue.Data = map[string]string{wanted.CatalogueFile: "apiVersion: slipway.dev/v1alpha1\nkind: Catalogue\nmodules: {agent: {stable: '" + version + "'}}\n"}
		if err := errors.Join(client.IgnoreAlreadyExists(h.client.Create(t.Context(), catalogue.DeepCopy())), h.client.Update(t.Context(), catalogue.DeepCopy())); err != nil {
			t.Fatal(err)
		}
	}
	r := h.agent(0)
	says("1.0.0")
	h.is(r, "the catalogue says what runs", v1alpha1.PhaseInstalled, "1.0.0")
	h.away = true
	says("1.1.0")
	if next := h.is(r, "the registry doesn't answer", v1alpha1.PhaseInstalled, "1.0.0", "can't look for other versions"); next != 5*time.Second {
		t.Errorf("it is looked again after %s", next)
	}
	says("1.1.0@sha256:4711")
	h.is(r, "a digest that is none", v1alpha1.PhaseBlocked, "1.0.0", "a digest that is none")
	says("1.1.0@" + string(digest))
	h.is(r, "nobody has to be asked", v1alpha1.PhasePreparing, "1.0.0")
	if u := h.the(upgradeName(digest, "1")); u.Spec.To.Image != h.image("1.1.0") {
		t.Errorf("it upgrades to %s", u.Spec.To.Image)
	}
}

// TestAgentModuleAdvises: who owns the agent upgrades it.
func TestAgentModuleAdvises(t *testing.T) {
	h := newHarbour(t)
	h.push("1.1.0", time.Time{})
	s := &appsv1.StatefulSet{}
	if err := h.client.Get(t.Context(), client.ObjectKey{Namespace: h.env.Namespace, Name: Names().Agent}, s); err != nil {
		t.Fatal(err)
	}
	s.Annotations["meta.helm.sh/release-name"] = "slipway"
	if err := h.client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	h.is(h.agent(0), "Helm owns it", v1alpha1.PhasePlanned, "1.0.0", "Advised: ", "1.1.0 is there, which is only advised", "Helm release slipway")
	if n := len(h.upgrades()); n > 0 || h.module.Status.Target == nil || h.module.Status.Target.Version != "1.1.0" {
		t.Errorf("%d AgentUpgrades; %+v", n, h.module.Status)
	}
}
