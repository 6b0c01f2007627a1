package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/lab/await"
	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// manned runs an agent in the world that was given these flags, until the test ends. version is Slipway's.
func (w *world) manned(version string, args ...string) {
	w.t.Helper()
	var f agentFlags
	cmd := &cobra.Command{}
	addAgentFlags(cmd, &f)
	// Other tests leave sources behind.
	if err := cmd.ParseFlags(append(args, "--watch-label-selector=nobody=none", "--data-dir", w.t.TempDir())); err != nil {
		w.t.Fatal(err)
	}
	if err := f.settle(deploy.Namespace); err != nil {
		w.t.Fatal(err)
	}
	f.Version = version
	w.running(f.Options, "error")
}

// withoutAgent deletes the agent's namespace, and waits until it is gone: the next test on the same cluster makes it again.
func (w *world) withoutAgent() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	namespace := &unstructured.Unstructured{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	namespace.SetName(deploy.Namespace)
	if err := w.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
		w.t.Error(err)
	}
	err := await.Object(ctx, w.cluster, namespace, func(left *unstructured.Unstructured) string {
		if left != nil {
			return "it is still there"
		}
		return ""
	})
	if err != nil {
		w.t.Error(err)
	}
}

// settled waits until a Module is in a phase, in the agent's words about its newest spec.
func (w *modulesWorld) settled(m *v1alpha1.Module, phase v1alpha1.ModulePhase) *v1alpha1.Module {
	w.t.Helper()
	w.becomes(m, string(phase), func(now *v1alpha1.Module) bool {
		return now.Status.Phase == phase && now.Status.ObservedGeneration == now.Generation
	})
	return m
}

// becomes waits until a Module is as it should be, and reads it.
func (w *modulesWorld) becomes(m *v1alpha1.Module, what string, is func(*v1alpha1.Module) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	key := &unstructured.Unstructured{}
	key.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.ModuleKind))
	key.SetName(m.Name)
	err := await.Object(ctx, w.cluster, key, func(*unstructured.Unstructured) string {
		now := &v1alpha1.Module{}
		if err := w.Get(ctx, client.ObjectKeyFromObject(m), now); err != nil {
			return err.Error()
		}
		*m = *now
		if !is(now) {
			return fmt.Sprintf("it is %s at generation %d of %d, not %s: %s", now.Status.Phase, now.Status.ObservedGeneration, now.Generation, what, readyWords(now))
		}
		return ""
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// level is what the module's ConfigMap says; empty: it isn't there.
func (w *modulesWorld) level() string {
	w.t.Helper()
	config := &corev1.ConfigMap{}
	if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.name, Name: "settings"}, config); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return config.Data["level"]
}

// The verbs say to an agent that runs what it understands, and show what it makes of it: from the first installation to the last word.
func TestModuleVerbsWithAnAgent(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	w, host := modulesWorldIn(t, worldIn(t, labtest.Simulated(t))), registryHost(t, "")
	t.Cleanup(w.withoutAgent)
	signer, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	push := func(version, level, more string) string {
		return host + "/runner@" + pushModule(t, host, version, "rollback: {to: '>=1'}\n"+more, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: "+level+"}\n")
	}
	never := "gate: {checks: [{name: level, object: {apiVersion: v1, kind: ConfigMap, name: settings, expression: self.data.level == 'never'}}]}\n"
	for _, artifact := range []string{push("1.0.0", "one", ""), push("1.1.0", "two", ""), push("1.2.0", "three", never), push("1.3.0", "four", "agent: '>=9'\n")} {
		if err := signer.Sign(artifact); err != nil {
			t.Fatal(err)
		}
	}
	push("1.4.0", "five", "")
	key := filepath.Join(folder(t, map[string]string{"cosign.pub": string(signer.Public)}), "cosign.pub")
	trusted := []string{"--insecure-registries=" + host, "--verify-keys=" + key}
	w.manned("v0.4.0", trusted...)
	m := w.module(w.name, func(s *v1alpha1.ModuleSpec) {
		s.Source.OCI.URL, s.Version, s.Namespace = "oci://"+host+"/runner", "1.0.0", w.name
		s.Upgrade, s.Rollback = &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual}, v1alpha1.RollbackAutomatic
		s.Gate = &v1alpha1.Gate{Soak: &metav1.Duration{}, Deadline: &metav1.Duration{Duration: 10 * time.Minute}}
	}, nil)

	w.settled(m, v1alpha1.PhaseInstalled) // the first time nobody has to approve
	w.slipway("module", "upgrade", m.Name).want(t, ExitDone, "asking the agent to look for another version", "1.0.0 of module "+m.Name+" is what is wanted: 1.0.0")
	if got := w.level(); got != "one" {
		t.Fatalf("the level is %q", got)
	}
	w.slipway("module", "show", m.Name).want(t, ExitDone, "1.0.0", "Installed")

	w.slipway("module", "upgrade", m.Name, "--version", "1.1.0", "--yes").want(t, ExitDone, "wants 1.1.0 instead of 1.0.0", "Planned (1.0.0 → 1.1.0)")

	// What the cluster teaches counts for the plan of a person as for the agent's.
	w.teach("ConfigMap", "self.metadata.name == 'settings' && self.metadata.namespace == '"+w.name+"'")
	a := w.slipway(append(trusted, "module", "plan", m.Name, "-o", "json")...)
	a.want(t, ExitDone)
	var p plan.Plan
	if err := json.Unmarshal([]byte(a.out), &p); err != nil || len(p.Baseline) != 1 || p.Baseline[0].Reason != "Taught" {
		t.Errorf("%v: want a ConfigMap that isn't healthy in\n%s", err, a.out)
	}
	w.forget()

	w.slipway("module", "pause", m.Name).want(t, ExitDone, "is paused")
	w.slipway("module", "upgrade", m.Name, "--yes").want(t, ExitFailed, "is paused")
	w.slipway("module", "resume", m.Name).want(t, ExitDone, "goes on")
	w.settled(m, v1alpha1.PhasePlanned)
	w.slipway("module", "upgrade", m.Name, "--yes").want(t, ExitDone, "1.1.0 of module "+m.Name+" is approved", "It can be taken back", "Installed (1.1.0)")
	if got := w.level(); got != "two" {
		t.Fatalf("the level is %q", got)
	}

	w.slipway("module", "upgrade", m.Name, "--version", "1.2.0", "--yes").want(t, ExitDone, "Planned (1.1.0 → 1.2.0)")
	w.slipway("module", "upgrade", m.Name, "--yes", "--no-wait").want(t, ExitDone, "1.2.0 of module "+m.Name+" is approved")
	w.settled(m, v1alpha1.PhaseSoaking)
	if got := w.level(); got != "three" {
		t.Fatalf("the level is %q", got)
	}
	w.slipway("module", "rollback", m.Name, "--yes").want(t, ExitDone, "1.2.0 of module "+m.Name+" is taken back", "RolledBack")
	if got := w.level(); got != "two" {
		t.Fatalf("the level is %q", got)
	}
	w.slipway("module", "upgrade", m.Name, "--yes").want(t, ExitFailed, "--retry tries it again")

	w.slipway("module", "upgrade", m.Name, "--version", "1.3.0", "--yes").want(t, ExitFailed, "works with Slipway >=9, and this is v0.4.0", "nothing was changed")
	w.slipway("module", "upgrade", m.Name, "--version", "1.4.0", "--yes").want(t, ExitFailed, "Verify", "nothing was changed")

	w.slipway("module", "uninstall", m.Name, "--yes").want(t, ExitDone, "Goes:  1 ConfigMap", "namespace "+w.name, "module "+m.Name+" is uninstalled")
	if err := w.Get(t.Context(), client.ObjectKey{Name: w.name}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("the module's namespace is still there: %v", err)
	}
}

// teach has an Interpreter in the cluster judge some objects of a built-in kind as Degraded.
func (w *modulesWorld) teach(kind, when string) {
	w.t.Helper()
	taught := &v1alpha1.Interpreter{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Spec: v1alpha1.InterpreterSpec{
		Target: v1alpha1.InterpreterTarget{Kind: kind}, Priority: new(int32(10_000)),
		Health: []v1alpha1.HealthRule{{State: v1alpha1.HealthState(health.Degraded), When: when, Reason: "Taught"}, {State: v1alpha1.HealthHealthy}},
	}}
	if err := w.Create(w.t.Context(), taught); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.forget() })
}

// forget takes it away again.
func (w *modulesWorld) forget() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), time.Minute)
	defer cancel()
	err := w.Delete(ctx, &v1alpha1.Interpreter{ObjectMeta: metav1.ObjectMeta{Name: w.name}})
	if client.IgnoreNotFound(err) != nil {
		w.t.Error(err)
	}
}
