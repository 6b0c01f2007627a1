package health

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/slipway-dev/slipway/internal/health/expr"
)

// ReadyExpr is a CEL expression that says whether one object may go on because another one is ready. It is safe for concurrent use.
type ReadyExpr struct{ program cel.Program }

// Names of the variables of a ReadyExpr: the object that waits, and the one it depends on.
const (
	readySelf = "self"
	readyDep  = "dep"
)

// CompileReady reads a readyExpr. Its error is for the person who wrote it.
func CompileReady(text string) (*ReadyExpr, error) {
	fields := cel.MapType(cel.StringType, cel.DynType)
	env, err := expr.Environment(cel.HomogeneousAggregateLiterals(), cel.Variable(readySelf, fields), cel.Variable(readyDep, fields))
	if err != nil {
		return nil, err
	}
	program, out, err := expr.Compile(env, text)
	if err != nil {
		return nil, err
	}
	if !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression gives %s, not true or false; compare it with something", out)
	}
	return &ReadyExpr{program: program}, nil
}

// NotEvaluable is why a ReadyExpr has no value for two objects. Its text never quotes their data.
type NotEvaluable struct {
	// Why, for the person who wrote the expression.
	Why string
	// Lasting is set when the expression itself is at fault: it costs too much, or gives no truth value. Otherwise it reads what may still come.
	Lasting bool
}

// Error returns the reason.
func (e *NotEvaluable) Error() string { return e.Why }

// Holds evaluates the expression on the object that waits and on the one it depends on. The error is a *NotEvaluable.
func (e *ReadyExpr) Holds(self, dep map[string]any) (bool, error) {
	value, _, err := expr.Eval(e.program, map[string]any{readySelf: self, readyDep: dep})
	if err != nil {
		return false, &NotEvaluable{Why: expr.WhyNot(err), Lasting: expr.Lasting(err)}
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, &NotEvaluable{Why: fmt.Sprintf("it gives %s, not true or false; compare it with something", value.Type()), Lasting: true}
	}
	return bool(b), nil
}
