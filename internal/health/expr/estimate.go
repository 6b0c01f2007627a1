package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
)

// assumedSize is how many entries a list, and how many letters a text of an object are assumed to have when the cost of an expression is
// estimated before it is used.
const assumedSize = 128

// CompileBounded is Compile, and refuses what could exceed the cost limit on an object of ordinary size, such as three loops in each other.
// It is for expressions that are written once and used on all objects of a kind: their writer is to hear of it first.
func CompileBounded(env *cel.Env, text string) (cel.Program, *cel.Type, error) {
	ast, program, err := compile(env, text, env.Compile)
	if err != nil {
		return nil, nil, err
	}
	cost, err := env.EstimateCost(ast, assumed{})
	if err != nil {
		return nil, nil, fmt.Errorf("estimate the cost: %w", err)
	}
	if cost.Max > MaxCost {
		return nil, nil, fmt.Errorf("the expression could cost %d on an object with lists of %d entries, and %d is the limit; look at less, or loop less deep",
			cost.Max, assumedSize, MaxCost)
	}
	return program, ast.OutputType(), nil
}

// assumed gives sizes to what an object has.
type assumed struct{}

// EstimateSize is of checker.CostEstimator.
func (assumed) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

// EstimateCallCost is of checker.CostEstimator: CEL knows.
func (assumed) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
