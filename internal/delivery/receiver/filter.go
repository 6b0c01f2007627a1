package receiver

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
)

// Limits of one expression: its text in bytes, and the cost of one evaluation in CEL's units. The cost is what Kubernetes grants an
// expression in a CRD or policy.
const (
	maxExpression = 16 << 10
	maxCost       = 1_000_000
	// interruptEvery is after how many steps of a loop an expression looks whether its time is over.
	interruptEvery = 100
)

// filters compiles the expressions of Receivers. It is safe for concurrent use.
type filters struct{ env *cel.Env }

// newFilters prepares what an expression may use: the webhook's body as req, the object's metadata as res, and CEL's extensions for texts
// and optional values.
func newFilters() (*filters, error) {
	env, err := cel.NewEnv(
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Lists(),
		cel.Variable("req", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("res", cel.MapType(cel.StringType, cel.DynType)),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	return &filters{env}, nil
}

// filter decides which objects a webhook wakes. Nil lets all of them through.
type filter struct{ program cel.Program }

// compile reads an expression; of an empty one it returns nil.
func (f *filters) compile(text string) (*filter, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // nil is a filter that lets all through
	}
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression has %d bytes; %d are the limit", len(text), maxExpression)
	}
	ast, issues := f.env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression gives %s, not true or false; compare it with something", out)
	}
	program, err := f.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery))
	if err != nil {
		return nil, err
	}
	return &filter{program}, nil
}

// admits tells whether the webhook with this body is meant for the object with this metadata.
func (f *filter) admits(ctx context.Context, req, res map[string]any) (bool, error) {
	if f == nil {
		return true, nil
	}
	value, _, err := f.program.ContextEval(ctx, map[string]any{"req": req, "res": res})
	if err != nil {
		return false, fmt.Errorf("the filter can't be evaluated: %s", whyNot(err))
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the filter gives %s, not true or false; compare it with something", value.Type())
	}
	return bool(b), nil
}

// whyNot says why an expression could not be evaluated. CEL's own words are not passed on: they may quote what the sender sent.
func whyNot(err error) string {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Sprintf("it exceeds the cost limit of %d; make it look at less", maxCost)
	}
	return "a field that it reads may be missing, or of another type; ask for it with has() first"
}
