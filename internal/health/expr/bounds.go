package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// maxMade is the length of the longest text that a function may make, in bytes: more than an object of the cluster can have.
const maxMade = 2 << 20

// maxPairs is how many pairs of elements a function of two lists may compare.
const maxPairs = 1_000_000

// tooLong is the failure of a function that would make a text of more than maxMade bytes, or compare more than maxPairs.
type tooLong struct{ function string }

func (e *tooLong) Error() string { return e.function + " would make or look at too much" }

// guarded are the functions that can make much of little, with what tells beforehand whether they would.
func guarded() map[string]func(args []ref.Val) bool {
	return map[string]func([]ref.Val) bool{
		"replace":         replaceFits,
		"join":            joinFits,
		"format":          formatFits,
		"sets.contains":   pairsFit,
		"sets.intersects": pairsFit,
		"sets.equivalent": pairsFit,
	}
}

// distinct is a function of CEL's extension for lists, which not all environments have. It compares each element with each.
const distinct = "distinct"

func distinctFits(args []ref.Val) bool {
	n := length(args[0])
	return n*n <= maxPairs
}

// bound puts guards before functions of env.
func bound(env *cel.Env, guards map[string]func(args []ref.Val) bool) (*cel.Env, error) {
	var replaced []cel.EnvOption
	declared := env.Functions()
	for name, fits := range guards {
		declaration, ok := declared[name]
		if !ok {
			return nil, fmt.Errorf("there is no function %s to guard", name)
		}
		bindings, err := declaration.Bindings()
		if err != nil {
			return nil, err
		}
		byID := map[string]*functions.Overload{}
		for _, b := range bindings {
			byID[b.Operator] = b
		}
		var overloads []cel.FunctionOpt
		for _, o := range declaration.OverloadDecls() {
			inner, ok := byID[o.ID()]
			if !ok {
				return nil, fmt.Errorf("function %s has no binding %s to guard", name, o.ID())
			}
			binding := guard(name, fits, inner)
			if o.IsMemberFunction() {
				overloads = append(overloads, cel.MemberOverload(o.ID(), o.ArgTypes(), o.ResultType(), binding))
			} else {
				overloads = append(overloads, cel.Overload(o.ID(), o.ArgTypes(), o.ResultType(), binding))
			}
		}
		replaced = append(replaced, cel.Function(name, overloads...))
	}
	return env.Extend(replaced...)
}

func guard(name string, fits func([]ref.Val) bool, inner *functions.Overload) cel.OverloadOpt {
	refused := func() ref.Val { return types.WrapErr(&tooLong{name}) }
	switch {
	case inner.Unary != nil:
		return cel.UnaryBinding(func(a ref.Val) ref.Val {
			if !fits([]ref.Val{a}) {
				return refused()
			}
			return inner.Unary(a)
		})
	case inner.Binary != nil:
		return cel.BinaryBinding(func(a, b ref.Val) ref.Val {
			if !fits([]ref.Val{a, b}) {
				return refused()
			}
			return inner.Binary(a, b)
		})
	default:
		return cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			if !fits(args) {
				return refused()
			}
			return inner.Function(args...)
		})
	}
}

func replaceFits(args []ref.Val) bool {
	if len(args) < 3 {
		return true
	}
	text, old, with := string(asText(args[0])), string(asText(args[1])), asText(args[2])
	count := utf8.RuneCountInString(text) + 1 // of an empty text to be replaced
	if old != "" {
		count = strings.Count(text, old)
	}
	return len(text)+count*len(with) <= maxMade
}

func joinFits(args []ref.Val) bool {
	separator := 0
	if len(args) > 1 {
		separator = len(asText(args[1]))
	}
	w := walker{left: maxMade, perElement: 1 + separator, perText: 1}
	return w.walk(args[0])
}

// formatFits counts the values to format: each is printed at most once for each clause, and there are as many clauses as values.
func formatFits(args []ref.Val) bool {
	w := walker{left: maxMade - len(asText(args[0])), perElement: 1, perText: 1}
	return w.left >= 0 && w.walk(args[1])
}

func pairsFit(args []ref.Val) bool {
	return length(args[0])*max(length(args[1]), 1) <= maxPairs
}

func asText(v ref.Val) types.String {
	s, _ := v.(types.String)
	return s
}

// walker looks through a value, and ends when nothing is left of what it may spend: each element of a list or map takes perElement, at least
// 1, and so the walk itself is bounded; a text takes a unit for so many bytes.
type walker struct{ left, perElement, perText int }

func (w *walker) walk(v ref.Val) bool {
	w.left -= w.perElement
	switch v := v.(type) {
	case types.String:
		w.left -= len(v) / w.perText
	case types.Bytes:
		w.left -= len(v) / w.perText
	case traits.Mapper:
		for i := v.Iterator(); i.HasNext() == types.True && w.left >= 0; {
			key := i.Next()
			if !w.walk(key) || !w.walk(v.Get(key)) {
				return false
			}
		}
	case traits.Lister:
		for i := v.Iterator(); i.HasNext() == types.True && w.left >= 0; {
			if !w.walk(i.Next()) {
				return false
			}
		}
	default:
		w.left -= 32 / w.perText // a number or a time
	}
	return w.left >= 0
}
