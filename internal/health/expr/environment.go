package expr

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// Limits of one expression: its text in bytes, and the cost of one evaluation in CEL's units. The cost is what Kubernetes grants an
// expression in a CRD or policy.
const (
	MaxText = 16 << 10
	MaxCost = 1_000_000
)

const (
	// maxTime ends an evaluation that is slow without being costly: CEL's own bookkeeping of cost takes time that grows with the square of a
	// list's length. What people really ask takes microseconds.
	maxTime = 5 * time.Second
	// interruptEvery is after how many steps of a loop it is looked whether the time is over.
	interruptEvery = 100
)

// base is what all expressions may use. It is prepared once: that takes a millisecond.
var base = sync.OnceValues(func() (*cel.Env, error) {
	env, err := cel.NewEnv(
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Sets(),
		ext.Encoders(),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	bounded, err := bound(env, guarded())
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	return bounded, nil
})

// Environment is what expressions may use: CEL with its extensions for texts, sets and encodings, which are those that Flux documents for
// healthCheckExprs, and what the caller adds.
func Environment(more ...cel.EnvOption) (*cel.Env, error) {
	env, err := base()
	if err != nil || len(more) == 0 {
		return env, err
	}
	env, err = env.Extend(more...)
	if err == nil && env.HasFunction(distinct) {
		env, err = bound(env, map[string]func([]ref.Val) bool{distinct: distinctFits})
	}
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	return env, nil
}

// Parse compiles an expression without checking names and types: its variables are the fields of objects of which nothing is known. Its
// error is for the person who wrote the expression.
func Parse(env *cel.Env, text string) (cel.Program, error) {
	_, program, err := compile(env, text, env.Parse)
	return program, err
}

// Compile compiles an expression and checks its names and types. Its error is for the person who wrote the expression.
func Compile(env *cel.Env, text string) (cel.Program, *cel.Type, error) {
	ast, program, err := compile(env, text, env.Compile)
	if err != nil {
		return nil, nil, err
	}
	return program, ast.OutputType(), nil
}

func compile(env *cel.Env, text string, read func(string) (*cel.Ast, *cel.Issues)) (*cel.Ast, cel.Program, error) {
	if len(text) > MaxText {
		return nil, nil, fmt.Errorf("the expression has %d bytes; %d are the limit", len(text), MaxText)
	}
	ast, issues := read(text)
	if issues.Err() != nil {
		return nil, nil, issues.Err()
	}
	if n := multiplied(ast.NativeRep().Expr()); n > maxMultiplied {
		return nil, nil, fmt.Errorf("the expression puts values into lists and maps, and those into others, so often that it could multiply what it reads "+
			"%d times; %d are the limit", n, maxMultiplied)
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(costs{}), cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(interruptEvery))
	return ast, program, err
}

// Eval is EvalWithin without a deadline of the caller's.
func Eval(program cel.Program, variables map[string]any) (value ref.Val, cost uint64, err error) {
	return EvalWithin(context.Background(), program, variables)
}

// EvalWithin evaluates an expression on values of its variables until ctx ends, and says what it has cost: in CEL's units, or the part of
// MaxCost that it took of maxTime, if that is more.
func EvalWithin(ctx context.Context, program cel.Program, variables map[string]any) (value ref.Val, cost uint64, err error) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(ctx, start.Add(maxTime))
	defer cancel()
	value, details, err := program.ContextEval(ctx, variables)
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	return value, max(cost, uint64(time.Since(start).Seconds()/maxTime.Seconds()*MaxCost)), err
}
