package receiver

import (
	"context"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"github.com/slipway-dev/slipway/internal/health/expr"
)

// filters compiles the expressions of Receivers. It is safe for concurrent use.
type filters struct{ env *cel.Env }

// newFilters prepares what an expression may use: the webhook's body as req, the object's metadata as res, and CEL's extensions for texts
// and optional values; all of it bounded as for other strangers' expressions.
func newFilters() (*filters, error) {
	env, err := expr.Environment(
		ext.Lists(),
		cel.Variable("req", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("res", cel.MapType(cel.StringType, cel.DynType)),
	)
	if err != nil {
		return nil, err
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
	program, out, err := expr.Compile(f.env, text)
	if err != nil {
		return nil, err
	}
	if !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression gives %s, not true or false; compare it with something", out)
	}
	return &filter{program}, nil
}

// admits tells whether the webhook with this body is meant for the object with this metadata.
func (f *filter) admits(ctx context.Context, req, res map[string]any) (bool, error) {
	if f == nil {
		return true, nil
	}
	value, _, err := expr.EvalWithin(ctx, f.program, map[string]any{"req": req, "res": res})
	if err != nil {
		return false, fmt.Errorf("the filter can't be evaluated: %s", expr.WhyNot(err)) // CEL's own words may quote what the sender sent
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the filter gives %s, not true or false; compare it with something", value.Type())
	}
	return bool(b), nil
}
