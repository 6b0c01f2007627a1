package health_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/health"
)

func TestReadyExpr(t *testing.T) {
	self := map[string]any{"metadata": map[string]any{"labels": map[string]any{"app/version": "v2"}}}
	dep := map[string]any{
		"metadata": map[string]any{"generation": int64(3), "labels": map[string]any{"app/version": "v2"}},
		"status": map[string]any{
			"observedGeneration": int64(3),
			"conditions":         []any{map[string]any{"type": "Ready", "status": "True"}},
		},
	}
	for name, tc := range map[string]struct {
		reason  string
		text    string
		holds   bool
		failed  bool // no value for these objects
		lasting bool
	}{
		"documented example": {
			reason: "the example of Flux's documentation works as it is",
			text: `dep.metadata.labels['app/version'] == self.metadata.labels['app/version'] &&
				dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True') &&
				dep.metadata.generation == dep.status.observedGeneration`,
			holds: true,
		},
		"not yet":      {reason: "false means to wait", text: `dep.metadata.labels['app/version'] == 'v3'`},
		"missing":      {reason: "what is not there may still come", text: `dep.status.lastAppliedRevision == 'x'`, failed: true},
		"no truth":     {reason: "only the author can mend it", text: `dep.metadata.generation`, failed: true, lasting: true},
		"costly":       {reason: "nobody waits for an expression that never ends", text: costly(), failed: true, lasting: true},
		"guarded":      {reason: "has() tells apart what is missing", text: `has(dep.status.lastAppliedRevision) && true`},
		"self missing": {reason: "labels that nobody has set", text: `self.metadata.labels['other'] == 'x'`, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := health.CompileReady(tc.text)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			holds, err := e.Holds(self, dep)
			if holds != tc.holds || (err != nil) != tc.failed {
				t.Fatalf("%s: %v, %v", tc.reason, holds, err)
			}
			var why *health.NotEvaluable
			if tc.failed && (!errors.As(err, &why) || why.Lasting != tc.lasting) {
				t.Errorf("%s: %v is lasting: want %v", tc.reason, err, tc.lasting)
			}
		})
	}
}

// costly is an expression that looks at a list of ten again and again, a thousand million times.
func costly() string {
	list := "[0,1,2,3,4,5,6,7,8,9]"
	text := "true"
	for _, v := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		text = list + ".all(" + v + ", " + text + ")"
	}
	return text
}

func TestReadyExprThatCannotBeCompiled(t *testing.T) {
	for name, text := range map[string]string{
		"syntax":           "dep.status.(",
		"unknown variable": "other.status == 'x'",
		"text":             "'yes'",
		"too long":         "true || " + strings.Repeat(" ", 20<<10) + "false",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := health.CompileReady(text); err == nil {
				t.Errorf("%q must be refused", text)
			}
		})
	}
}
