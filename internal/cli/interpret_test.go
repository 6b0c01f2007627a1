package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const interpretedCanary = `apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test, generation: 1}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}}
status: {phase: Progressing, canaryWeight: 20, failedChecks: 0}
`

const boatInterpreter = `apiVersion: slipway.dev/v1alpha1
kind: Interpreter
metadata: {name: boat}
spec:
  target: {group: "", kind: ConfigMap}
  priority: 10000
  health:
  - {state: Degraded, when: "self.data.state == 'sunk'", reason: Sunk, message: "'it lies at ' + self.data.depth"}
  - {state: Healthy}
  replicas: int(self.data.oars)
  drained: self.data.passengers == '0'
  tests:
  - name: sunk
    object: {apiVersion: v1, kind: ConfigMap, data: {state: sunk, depth: 12 m, oars: "2", passengers: "0"}}
    want: {health: Degraded, reason: Sunk, drained: true, replicas: {desired: 2}}
`

func TestInterpretFile(t *testing.T) {
	nowhere(t)
	file := filepath.Join(t.TempDir(), "canary.yaml")
	writeFile(t, file, "---\n"+interpretedCanary+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")

	slipway(t, "module", "interpret", file).want(t, ExitDone,
		"Canary/test/podinfo", "Progressing (Progressing): the canary has 20% of the traffic; 0 checks have failed", "no: it is at work",
		"Deployment podinfo in test (apps/v1)", "Canary.flagger.app", "health[4]", "ConfigMap", "Healthy (Exists)", "built in")

	answer := slipway(t, "module", "interpret", file, "-o", "json")
	var report interpretReport
	if err := json.Unmarshal([]byte(answer.out), &report); err != nil {
		t.Fatalf("%v:\n%s", err, answer.out)
	}
	if len(report.Objects) != 2 || report.Objects[0].Rule != "health[4]" || *report.Objects[0].Drained || report.Objects[1].Interpreter != "built in" {
		t.Errorf("got %+v", report)
	}
}

func TestInterpretInterpreter(t *testing.T) {
	nowhere(t)
	dir := t.TempDir()
	good, bad, wrong, unknown := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "wrong.yaml"), filepath.Join(dir, "unknown.yaml")
	writeFile(t, good, boatInterpreter)
	writeFile(t, bad, replaced(boatInterpreter, "drained: true", "drained: false"))
	writeFile(t, wrong, replaced(boatInterpreter, "int(self.data.oars)", "nothing.here"))
	writeFile(t, unknown, replaced(boatInterpreter, "drained: self", "dried: self"))

	slipway(t, "module", "interpret", good).want(t, ExitDone, "interpreter boat for ConfigMap is valid; its 1 tests hold")
	slipway(t, "module", "interpret", bad).want(t, ExitFailed, `test "sunk": drained: wanted false, got true`)
	slipway(t, "module", "interpret", wrong).want(t, ExitFailed, "replicas: ", "undeclared reference to 'nothing'")
	slipway(t, "module", "interpret", unknown).want(t, ExitFailed, "unknown field", "dried")
	slipway(t, "module", "interpret", filepath.Join(dir, "none.yaml")).want(t, ExitUsage, "there is no file")
}

func TestInterpretLive(t *testing.T) {
	w := newWorld(t)
	w.has(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "boat"},
		Data:       map[string]string{"state": "sunk", "depth": "12 m", "oars": "2", "passengers": "3"},
	})
	file := filepath.Join(t.TempDir(), "boat.yaml")
	writeFile(t, file, boatInterpreter)
	w.slipway("module", "interpret", "configmap/boat", "-n", w.namespace).want(t, ExitDone, "Healthy (Exists)", "built in")
	w.slipway("module", "interpret", "cm/boat", "-n", w.namespace, "--interpreter", file).want(t, ExitDone,
		"Degraded (Sunk): it lies at 12 m", "2 wanted", "no: it is at work", "boat", "health[0]")
	w.slipway("module", "interpret", "cm/none", "-n", w.namespace).want(t, ExitFailed, "not found")

	inCluster := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(boatInterpreter), &inCluster.Object); err != nil {
		t.Fatal(err)
	}
	if err := w.Create(t.Context(), inCluster); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Delete(t.Context(), inCluster); err != nil {
			t.Error(err)
		}
	}()
	w.slipway("module", "interpret", "cm/boat", "-n", w.namespace).want(t, ExitDone, "Degraded (Sunk): it lies at 12 m", "Said by:      boat")
	writeFile(t, file, replaced(boatInterpreter, "reason: Sunk, message", "reason: Wet, message"))
	w.slipway("module", "interpret", "cm/boat", "-n", w.namespace, "--interpreter", file).want(t, ExitDone, "Degraded (Wet)")
}

func replaced(text, old, with string) string { return strings.Replace(text, old, with, 1) }

// A document ends where a line is --- and nothing else.
func TestDocuments(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "---\n": 0, "a: 1\n": 1, "---\na: 1\n---\nb: 2\n": 2, "a: 1\n--- \nb: 2": 2, "# a comment\n---\na: 1\n---\n": 1, "a: |\n  b\n  ---\n  c\n": 1,
	} {
		if got, err := documents([]byte(text)); err != nil || len(got) != want {
			t.Errorf("%q has %d documents, %v, want %d", text, len(got), err, want)
		}
	}
	if got, err := documents([]byte("a: 1\n---b: 2\n")); err == nil {
		t.Errorf("a line that only begins with --- is cut through: %q", got)
	}
}
