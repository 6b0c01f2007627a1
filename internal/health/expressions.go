package health

import (
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/health/expr"
)

// Rules judge kinds by a Kustomization's healthCheckExprs, and all others as Assess
// does. The zero value and nil judge as Assess does. It is safe for concurrent use.
type Rules struct {
	byKind  map[schema.GroupKind]expressions
	byGroup map[string]expressions // checks that name no kind
}

// expressions of one kind, in the order in which they are asked.
type expressions struct {
	inProgress, failed, current *expression
}

type expression struct {
	name    string
	program cel.Program
}

// Compile reads healthCheckExprs. Its error names the check and the expression; it is
// for the person who wrote them.
func Compile(checks []kustomize.CustomHealthCheck) (*Rules, error) {
	r := &Rules{byKind: map[schema.GroupKind]expressions{}, byGroup: map[string]expressions{}}
	if len(checks) == 0 {
		return r, nil
	}
	env, err := expr.Environment()
	if err != nil {
		return nil, err
	}
	for i, check := range checks {
		where := fmt.Sprintf("healthCheckExprs[%d] (%s %s)", i, check.APIVersion, check.Kind)
		gv, err := schema.ParseGroupVersion(check.APIVersion)
		if err != nil || check.APIVersion == "" {
			return nil, fmt.Errorf("%s: apiVersion %q is not of the form group/version", where, check.APIVersion)
		}
		e, err := compileAll(env, check.HealthCheckExpressions)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if check.Kind == "" {
			r.byGroup[gv.Group] = e
		} else {
			r.byKind[schema.GroupKind{Group: gv.Group, Kind: check.Kind}] = e
		}
	}
	return r, nil
}

func compileAll(env *cel.Env, texts kustomize.HealthCheckExpressions) (expressions, error) {
	var e expressions
	if texts.Current == "" {
		return e, errors.New("current is empty; write an expression that is true when the object is healthy")
	}
	for _, one := range []struct {
		name, text string
		into       **expression
	}{
		{"inProgress", texts.InProgress, &e.inProgress},
		{"failed", texts.Failed, &e.failed},
		{"current", texts.Current, &e.current},
	} {
		if one.text == "" {
			continue
		}
		compiled, err := compile(env, one.name, one.text)
		if err != nil {
			return e, err
		}
		*one.into = compiled
	}
	return e, nil
}

// compile parses without checking types: the variables are the fields of objects of
// which nothing is known here.
func compile(env *cel.Env, name, text string) (*expression, error) {
	program, err := expr.Parse(env, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &expression{name: name, program: program}, nil
}

// NeedsBody is NeedsBody, and true for the kinds that have expressions.
func (r *Rules) NeedsBody(gvk schema.GroupVersionKind) bool {
	return r.Has(gvk.GroupKind()) || NeedsBody(gvk)
}

// Assess judges an object by its kind's expressions, or as Assess does when there are
// none.
func (r *Rules) Assess(obj *unstructured.Unstructured) Verdict { return r.AssessOr(obj, Assess) }

// AssessOr judges an object by its kind's expressions, or as otherwise does when there are none; nil is Assess. First comes what holds for all kinds: an object that is being deleted, or
// whose controller has not seen the latest generation, is Progressing. Then inProgress,
// failed and current are asked in this order; when none is true, it is Progressing. An
// expression that cannot be evaluated, such as one that reads a status which is not
// there yet, makes it Unknown: it may become known later.
func (r *Rules) AssessOr(obj *unstructured.Unstructured, otherwise func(*unstructured.Unstructured) Verdict) Verdict {
	if obj == nil || len(obj.Object) == 0 {
		return Assess(obj)
	}
	e, ok := r.find(groupKind(obj))
	if !ok && otherwise == nil {
		return Assess(obj)
	}
	if !ok {
		return otherwise(obj)
	}
	o := object{obj.Object}
	if v, decided := changing(o); decided {
		return v
	}
	return e.assess(o)
}

// Has says whether a kind has expressions.
func (r *Rules) Has(kind schema.GroupKind) bool {
	_, ok := r.find(kind)
	return ok
}

func (r *Rules) find(kind schema.GroupKind) (expressions, bool) {
	if r == nil {
		return expressions{}, false
	}
	if e, ok := r.byKind[kind]; ok {
		return e, true
	}
	e, ok := r.byGroup[kind.Group]
	return e, ok
}

func (e expressions) assess(o object) Verdict {
	message := ""
	if c, ok := o.condition("Ready"); ok {
		message = ": " + c.says(c.because(c.Status))
	}
	for _, ask := range []struct {
		expression *expression
		verdict    Verdict
	}{
		{e.inProgress, progressing("InProgress", "its inProgress expression holds%s", message)},
		{e.failed, degraded("Failed", "its failed expression holds%s", message)},
		{e.current, healthy("Current", "its current expression holds")},
	} {
		if ask.expression == nil {
			continue
		}
		holds, err := ask.expression.eval(o.fields)
		if err != nil {
			return Verdict{Unknown, "ExpressionFailed", err.Error()}
		}
		if holds {
			return ask.verdict
		}
	}
	return progressing("NotCurrent", "its current expression does not hold yet%s", message)
}

func (e *expression) eval(fields map[string]any) (holds bool, err error) {
	value, _, err := expr.Eval(e.program, fields)
	if err != nil {
		return false, fmt.Errorf("the %s expression cannot be evaluated on this object: %s", e.name, expr.WhyNot(err))
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the %s expression gives %s, not true or false; compare it with something", e.name, value.Type())
	}
	return bool(b), nil
}
