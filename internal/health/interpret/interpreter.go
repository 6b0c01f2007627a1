package interpret

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/expr"
)

// maxMessage is the length of a verdict's message, in bytes; what is longer is cut.
const maxMessage = 1024

// Target is what the interpreter is for.
func (i *Interpreter) Target() Target { return i.target }

// Judges says whether the interpreter has rules for health. Otherwise health is judged by what is built in.
func (i *Interpreter) Judges() bool { return len(i.rules) > 0 }

// Assess judges an object. First comes what holds for all kinds: an object that is being deleted, or whose controller has not seen the latest
// generation, is Progressing. Then the rules are asked in their order.
func (i *Interpreter) Assess(obj *unstructured.Unstructured) health.Verdict {
	verdict, _ := i.assess(obj, &evaluation{})
	return verdict
}

// Interpret says all that the interpreter has to say of an object.
func (i *Interpreter) Interpret(obj *unstructured.Unstructured) Result {
	var (
		e   evaluation
		out Result
	)
	out.Health, out.Rule = i.assess(obj, &e)
	if obj == nil || len(obj.Object) == 0 {
		return out
	}
	e.fields = obj.Object
	out.Replicas = operation(&e, i.replicas, replicas)
	out.Drained = operation(&e, i.drained, truth)
	if list := operation(&e, i.dependencies, dependencies(obj.GetNamespace())); list != nil {
		out.Dependencies = *list
	}
	if v := operation(&e, i.version, shortText); v != nil {
		out.Version = *v
	}
	out.Problems = e.problems
	return out
}

func (i *Interpreter) assess(obj *unstructured.Unstructured, e *evaluation) (verdict health.Verdict, where string) {
	if len(i.rules) == 0 || obj == nil || len(obj.Object) == 0 {
		return health.Assess(obj), ""
	}
	if v, decided := health.Changing(obj); decided {
		return v, ""
	}
	e.fields = obj.Object
	for n, r := range i.rules {
		holds := true
		if r.when != nil {
			value, err := e.eval(r.when)
			if err == nil {
				holds, err = truth(value)
			}
			if err != nil {
				return health.Verdict{State: health.Unknown, Reason: "ExpressionFailed", Message: e.problem(r.when, err)}, fmt.Sprintf("health[%d]", n)
			}
		}
		if holds {
			return e.verdict(r), fmt.Sprintf("health[%d]", n)
		}
	}
	return health.Verdict{State: health.Unknown, Reason: "NoRuleHolds", Message: "none of the rules of its interpreter holds"}, ""
}

// evaluation is one look at one object.
type evaluation struct {
	fields   map[string]any
	spent    uint64 // cost of what was evaluated so far
	problems []string
}

// verdict of a rule that holds. An expression for its words that fails is a problem, and changes nothing about the state.
func (e *evaluation) verdict(r rule) health.Verdict {
	v := health.Verdict{State: r.state, Reason: r.word}
	if s := operation(e, r.reason, shortText); s != nil && word.MatchString(*s) {
		v.Reason = *s
	}
	if v.Reason == "" {
		v.Reason = string(r.state)
	}
	if s := operation(e, r.message, text); s != nil {
		v.Message = cut(strings.TrimSpace(*s), maxMessage)
	}
	if v.Message == "" {
		v.Message = strings.ToLower(string(r.state))
	}
	return v
}

// eval gives the value of an expression.
func (e *evaluation) eval(x *expression) (ref.Val, error) {
	if e.spent > expr.MaxCost {
		return nil, fmt.Errorf("the expressions before it have used up the cost limit of %d for one object; make them look at less", expr.MaxCost)
	}
	value, cost, err := expr.Eval(x.program, map[string]any{self: e.fields})
	e.spent += cost
	if err != nil {
		return nil, fmt.Errorf("%s", expr.WhyNot(err))
	}
	if o, ok := value.(*types.Optional); ok {
		if !o.HasValue() {
			return types.NullValue, nil
		}
		value = o.GetValue()
	}
	return value, nil
}

// problem notes that an expression has no value, and gives the words for it.
func (e *evaluation) problem(x *expression, err error) string {
	text := fmt.Sprintf("%s cannot be evaluated on this object: %v", x.where, err)
	e.problems = append(e.problems, text)
	return text
}

// operation evaluates an expression and reads its value. Nil: there is no such expression, it gives null, or it has failed.
func operation[T any](e *evaluation, x *expression, read func(ref.Val) (T, error)) *T {
	if x == nil {
		return nil
	}
	value, err := e.eval(x)
	if err == nil && value == types.NullValue {
		return nil
	}
	var out T
	if err == nil {
		out, err = read(value)
	}
	if err != nil {
		e.problem(x, err)
		return nil
	}
	return &out
}

// cut shortens a text to so many bytes, at the end of a letter.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= limit {
		return text
	}
	text = text[:limit-len("…")]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
