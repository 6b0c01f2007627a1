package expr

import (
	"github.com/google/cel-go/common/ast"
)

// maxMultiplied is how often an expression may repeat a value by putting it into lists and maps: [x, x] is twice, [[x, x], [x, x]] four times,
// [x].map(a, [a, a]).map(a, [a, a]) four times, too. CEL counts each of them as one step, and shares the value in memory; whoever compares
// or prints the outcome walks all of it.
const maxMultiplied = 1_000

// multiplied bounds how often a value can occur in what an expression gives, along the longest chain of literals that can hold each other.
func multiplied(e ast.Expr) int {
	switch e.Kind() {
	case ast.ListKind:
		return literal(e.AsList().Elements())
	case ast.MapKind:
		var parts []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return literal(parts)
	case ast.CallKind:
		call := e.AsCall()
		most := largest(call.Args())
		if call.IsMemberFunction() {
			most = max(most, multiplied(call.Target()))
		}
		return most
	case ast.SelectKind:
		return multiplied(e.AsSelect().Operand())
	case ast.ComprehensionKind:
		// Each step may hold what the range gave.
		c := e.AsComprehension()
		return saturated(multiplied(c.IterRange()), max(multiplied(c.LoopStep()), multiplied(c.LoopCondition()), multiplied(c.Result())))
	default:
		return 1
	}
}

// literal multiplies by the number of parts that are not constants themselves.
func literal(parts []ast.Expr) int {
	varying := 0
	for _, p := range parts {
		if p.Kind() != ast.LiteralKind {
			varying++
		}
	}
	return saturated(max(varying, 1), largest(parts))
}

func largest(parts []ast.Expr) int {
	most := 1
	for _, p := range parts {
		most = max(most, multiplied(p))
	}
	return most
}

// saturated multiplies without overflow: what is over the limit need not be known exactly.
func saturated(a, b int) int {
	const enough = maxMultiplied * maxMultiplied
	return min(a*b, enough)
}
