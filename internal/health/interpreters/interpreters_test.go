package interpreters_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
)

// Every ready-made interpreter says of its own objects what it is to say, and its file is called by what it is for.
func TestReadyMade(t *testing.T) {
	for _, one := range interpreters.All() {
		t.Run(one.Name, func(t *testing.T) {
			d, err := one.Definition()
			if err != nil {
				t.Fatal(err)
			}
			if d.Target.Group != one.Target.Group || d.Target.Kind != one.Target.Kind {
				t.Errorf("the file of %s is called %s", d.Target, one.Name)
			}
			i, err := interpret.Compile(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range interpret.Check(i, d.Tests) {
				t.Error(f)
			}
			proves(t, d, i)
		})
	}
}

// proves looks whether the tests of an interpreter are worth something: each operation is wanted at least once, each rule decides at least
// once, and there is an object that is well and one that isn't.
func proves(t *testing.T, d interpret.Definition, i *interpret.Interpreter) {
	t.Helper()
	var (
		states []health.State
		rules  = map[string]bool{}
		wanted interpret.Want
	)
	for _, test := range d.Tests {
		states = append(states, test.Want.Health)
		rules[i.Interpret(&unstructured.Unstructured{Object: test.Object}).Rule] = true
		if test.Want.Replicas != nil {
			wanted.Replicas = test.Want.Replicas
		}
		if test.Want.Drained != nil {
			wanted.Drained = test.Want.Drained
		}
		wanted.Dependencies = append(wanted.Dependencies, test.Want.Dependencies...)
		wanted.Version += test.Want.Version
	}
	if !slices.Contains(states, health.Healthy) || !slices.ContainsFunc(states, func(s health.State) bool { return s != health.Healthy && s != "" }) {
		t.Errorf("the tests want %v; there must be an object that is healthy and one that is not", states)
	}
	for n := range d.Health {
		if rule := interpretRule(n); !rules[rule] {
			t.Errorf("no test is decided by %s", rule)
		}
	}
	for name, untested := range map[string]bool{
		"replicas":     d.Replicas != "" && wanted.Replicas == nil,
		"drained":      d.Drained != "" && wanted.Drained == nil,
		"dependencies": d.Dependencies != "" && len(wanted.Dependencies) == 0,
		"version":      d.Version != "" && wanted.Version == "",
	} {
		if untested {
			t.Errorf("no test wants its %s", name)
		}
	}
}

func interpretRule(n int) string { return fmt.Sprintf("health[%d]", n) }

// People find in the documentation what there is.
func TestReadyMadeAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/interpreters.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range interpreters.All() {
		if !strings.Contains(string(page), "`"+one.Name+"`") {
			t.Errorf("docs/interpreters.md has no row for %s", one.Name)
		}
	}
}
