package teach

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
)

// lesson is what became of one Interpreter.
type lesson struct {
	uid        types.UID
	generation int64
	// reason and wrong say why it isn't used; empty if it is.
	reason string
	wrong  []string
	// teaches lists what it teaches, tests how many hold.
	teaches []string
	tests   int
	// inUse is the generation that is used, 0 for none. It is an older one where this one is wrong.
	inUse int64
}

// school keeps the registry as the Interpreters of the cluster are. It is safe for concurrent use.
type school struct {
	registry *interpret.Registry

	mu      sync.Mutex
	lessons map[string]lesson // by the name of the Interpreter
}

// sync takes in all Interpreters of the cluster, and forgets those that aren't there any more. What is known already costs nothing.
func (s *school) sync(all []v1alpha1.Interpreter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(all))
	for i := range all {
		if all[i].DeletionTimestamp.IsZero() {
			there[all[i].Name] = true
			s.learn(&all[i])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.lessons)) {
		if !there[name] {
			delete(s.lessons, name)
			s.registry.Delete(name)
		}
	}
}

// learn takes in one, if it is news. It needs s.mu held.
func (s *school) learn(obj *v1alpha1.Interpreter) {
	before, known := s.lessons[obj.Name]
	if known && before.uid == obj.UID && before.generation == obj.Generation {
		return
	}
	l := lesson{uid: obj.UID, generation: obj.Generation}
	d, err := definition(obj.Spec)
	var (
		i     *interpret.Interpreter
		wrong []error
	)
	if err != nil {
		wrong = interpret.Faults(err)
	} else {
		i, wrong = interpret.Examine(d)
	}
	for _, one := range wrong {
		l.wrong = append(l.wrong, one.Error())
	}
	switch {
	case len(wrong) > 0 && i == nil:
		l.reason = ReasonInvalid
	case len(wrong) > 0:
		l.reason = ReasonTestFailed
	}
	switch {
	case l.reason == "":
		l.teaches, l.tests, l.inUse = subjects(d), len(d.Tests), obj.Generation
		s.registry.Set(obj.Name, i)
	case known && before.uid == obj.UID:
		l.inUse = before.inUse
	case known: // a namesake was deleted, and this one was made in its place
		s.registry.Delete(obj.Name)
	}
	s.lessons[obj.Name] = l
}

// lesson returns what is known of an Interpreter of that generation.
func (s *school) lesson(obj *v1alpha1.Interpreter) (lesson, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.lessons[obj.Name]
	return l, ok && l.uid == obj.UID && l.generation == obj.Generation
}

// definition reads the spec in the way in which 'slipway module interpret' reads it from a file.
func definition(spec v1alpha1.InterpreterSpec) (interpret.Definition, error) {
	content, err := json.Marshal(spec)
	if err != nil {
		return interpret.Definition{}, fmt.Errorf("write the spec: %w", err)
	}
	return interpret.FromSpec(content)
}

// subjects lists what a definition teaches, in the order of the fields in the spec.
func subjects(d interpret.Definition) []string {
	var all []string
	for _, field := range []struct {
		name   string
		taught bool
	}{
		{"health", len(d.Health) > 0},
		{"replicas", d.Replicas != ""},
		{"drained", d.Drained != ""},
		{"dependencies", d.Dependencies != ""},
		{"version", d.Version != ""},
	} {
		if field.taught {
			all = append(all, field.name)
		}
	}
	return all
}
