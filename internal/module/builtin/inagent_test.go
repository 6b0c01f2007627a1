package builtin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/builtin"
)

// TestDelivery: a Module of what runs in the agent is installed in the agent's version, is ready as long as that is served, and leaves
// everything when it goes.
func TestDelivery(t *testing.T) {
	w := newWorld(t)
	problem, by := "", ""
	parts := w.parts()
	parts.Metrics = attempt.NewMetrics()
	parts.Capabilities = map[string]builtin.Capability{v1alpha1.BuiltinDelivery: func(context.Context) (builtin.Serving, error) { return builtin.Serving{Problem: problem, By: by}, nil }}
	r := builtin.New(parts)
	m := w.module(v1alpha1.BuiltinDelivery)
	steps := []struct {
		reason, problem string
		by              string
		paused          bool
		ready           metav1.ConditionStatus
		because         string
		says            []string
	}{
		{reason: "it is there with the agent", ready: metav1.ConditionTrue, because: "Installed", says: []string{"1.2.3 runs in the agent"}},
		{reason: "it isn't served", problem: "Flux does it", ready: metav1.ConditionFalse, because: attempt.ReasonUnhealthy, says: []string{"1.2.3", "isn't served: Flux does it"}},
		{reason: "it is served again", ready: metav1.ConditionTrue, because: "Installed", says: []string{"1.2.3 runs in the agent"}},
		{reason: "another process serves it", by: "delivery-0", ready: metav1.ConditionTrue, because: "Installed", says: []string{"delivery-0 serves it in the agent's place"}},
		{reason: "a pause holds up nothing", paused: true, ready: metav1.ConditionTrue, because: "Installed", says: []string{"the pause holds up nothing"}},
	}
	for _, s := range steps {
		problem, by = s.problem, s.by
		m = w.change(m, func(m *v1alpha1.Module) { m.Spec.Paused = s.paused })
		if next := w.reconcile(r, m); next <= 0 {
			t.Errorf("%s: nobody looks again", s.reason)
		}
		m = w.read(m)
		ready := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition)
		if m.Status.Phase != v1alpha1.PhaseInstalled || m.Status.Current == nil || m.Status.Current.Version != "1.2.3" || m.Status.Current.Package != m.Name || m.Status.ObservedGeneration != m.Generation {
			t.Errorf("%s: %+v", s.reason, m.Status)
		}
		if ready == nil || ready.Status != s.ready || ready.Reason != s.because {
			t.Fatalf("%s: ready is %+v", s.reason, ready)
		}
		for _, words := range s.says {
			if !strings.Contains(ready.Message, words) {
				t.Errorf("%s: %q doesn't say %q", s.reason, ready.Message, words)
			}
		}
	}
	if told := w.tellings(); len(told) != len(steps) {
		t.Errorf("it is told %d times, not %d: %q", len(told), len(steps), told)
	}
	if n := series(t, parts.Metrics); n != 2 {
		t.Errorf("%d series show how it is, not 2", n)
	}
	before := w.writes()
	w.reconcile(r, m)
	if n := w.writes() - before; n != 0 {
		t.Errorf("a module that is as it was takes %d writes", n)
	}
	if err := w.client.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if w.there(m) {
		t.Error("something keeps a Module of which nothing has to be removed")
	}
	if w.reconcile(r, m); series(t, parts.Metrics) != 0 {
		t.Error("a Module that is gone is still shown")
	}
}

// TestUnknownPart: the definition of Modules may be newer than the agent.
func TestUnknownPart(t *testing.T) {
	w := newWorld(t)
	parts := w.parts()
	parts.Capabilities = map[string]builtin.Capability{"gateway": nil, "canary": nil}
	m := w.module(v1alpha1.BuiltinDelivery)
	w.reconcile(builtin.New(parts), m)
	m = w.read(m)
	stalled := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.StalledCondition)
	if m.Status.Phase != v1alpha1.PhaseBlocked || stalled == nil || !strings.Contains(stalled.Message, "delivery, but agent, canary, gateway") || m.Status.Current != nil {
		t.Errorf("%+v", m.Status)
	}
}

// series counts what is shown.
func series(t *testing.T, m *attempt.Metrics) (n int) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		n += len(f.GetMetric())
	}
	return n
}
