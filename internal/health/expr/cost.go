package expr

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// costs says what a call costs by the sizes of what goes in and comes out. CEL knows that only for functions whose types are known when the
// expression is compiled; an object's fields have no known types, and the call would be counted as 1, however long the text is.
type costs struct{}

// perText is how many bytes of text cost one unit, as CEL counts them.
const perText = 10

// CallCost is of interpreter.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	cost := uint64(1)
	switch function {
	case operators.Add: // of lists: all that is in the shorter one, so that adding one element to a long one is cheap
		if l, r, ok := twoLists(args); ok {
			if length(r) < length(l) {
				l = r
			}
			cost += weight(l)
			return &cost
		}
	case operators.In, operators.OldIn:
		if len(args) == 2 {
			cost += length(args[1])
		}
	case operators.Index, operators.OptIndex, operators.OptSelect:
		return &cost
	case "matches", "contains", "indexOf", "lastIndexOf":
		if len(args) >= 2 {
			cost += (1 + bytes(args[0])/perText) * (1 + bytes(args[1])/4)
			return &cost
		}
	case "sets.contains", "sets.intersects", "sets.equivalent":
		if l, r, ok := twoLists(args); ok {
			cost += 2 * length(l) * length(r)
			return &cost
		}
	case "join", "split", "format", "lists.range", "flatten", "slice", "reverse", "sort", distinct:
		for _, a := range args {
			cost += length(a)
		}
		cost += length(result)
	}
	for _, a := range args {
		cost += bytes(a) / perText
	}
	cost += bytes(result) / perText
	return &cost
}

func twoLists(args []ref.Val) (l, r ref.Val, ok bool) {
	if len(args) != 2 {
		return nil, nil, false
	}
	_, left := args[0].(traits.Lister)
	_, right := args[1].(traits.Lister)
	return args[0], args[1], left && right
}

// weight is the number of elements in a value, and what its texts cost, up to the limit.
func weight(v ref.Val) uint64 {
	w := walker{left: MaxCost, perElement: 1, perText: perText}
	w.walk(v)
	return uint64(MaxCost - max(w.left, 0))
}

// bytes is the length of a text, and 0 of anything else.
func bytes(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))
	case types.Bytes:
		return uint64(len(v))
	}
	return 0
}

// length is the number of elements of a list or map, and 0 of anything else.
func length(v ref.Val) uint64 {
	if _, text := v.(types.String); text {
		return 0
	}
	if sizer, ok := v.(traits.Sizer); ok {
		if n, ok := sizer.Size().(types.Int); ok && n > 0 {
			return uint64(n)
		}
	}
	return 0
}

// Lasting says whether an evaluation has failed for what the expression is, not for what the object does not have yet: it costs too much.
func Lasting(err error) bool { return tooCostly(err) || tooSlow(err) || tooMuch(err) }

func tooCostly(err error) bool {
	var cancelled interpreter.EvalCancelledError
	return errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded
}

func tooSlow(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

func tooMuch(err error) bool {
	var long *tooLong
	return errors.As(err, &long)
}

// WhyNot says why an expression could not be evaluated, without any data of the object.
func WhyNot(err error) string {
	switch {
	case tooCostly(err):
		return fmt.Sprintf("it exceeds the cost limit of %d; make it look at less", MaxCost)
	case tooSlow(err):
		return fmt.Sprintf("it takes longer than %s; make it look at less", maxTime)
	case tooMuch(err):
		return fmt.Sprintf("a function in it would make a text of more than %d bytes, or compare more than %d pairs; make it look at less", maxMade, maxPairs)
	default:
		return "a field that it reads may be missing, or of another type; ask for it with has() first"
	}
}
