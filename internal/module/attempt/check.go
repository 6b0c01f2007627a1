package attempt

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/cel-go/common/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/expr"
	"github.com/slipway-dev/slipway/internal/kube"
)

// objectHolds asks an object, and returns why the answer is no.
func (t *task) objectHolds(ctx context.Context, c v1alpha1.ObjectCheck, namespace string) string {
	gv, err := schema.ParseGroupVersion(c.APIVersion)
	if err != nil {
		return "its apiVersion is none: " + c.APIVersion
	}
	ref := kube.Ref{Group: gv.Group, Version: gv.Version, Kind: c.Kind, Namespace: cmp.Or(c.Namespace, namespace), Name: c.Name}
	if m, err := t.Clients.Mapping(ref.GroupKind(), ref.Version); err == nil && m.Scope.Name() == meta.RESTScopeNameRoot {
		ref.Namespace = ""
	}
	live, err := t.Clients.Get(ctx, kube.Identity{}, ref)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return ref.Subject() + " does not exist"
	}
	if err != nil {
		return ref.Subject() + " can't be read: " + err.Error()
	}
	if c.Expression == "" {
		if v := t.assess(live); v.State != health.Healthy {
			return ailing{ref, v}.String()
		}
		return ""
	}
	holds, err := evaluate(c.Expression, map[string]any{"self": live.Object})
	if err != nil {
		return ref.Subject() + ": " + err.Error()
	}
	if !holds {
		return ref.Subject() + ": its expression is false"
	}
	return ""
}

// evaluate tells whether an expression is true. What can't be evaluated, such as one about a status that isn't there yet, is an error that
// names no values.
func evaluate(text string, variables map[string]any) (bool, error) {
	env, err := expr.Environment()
	if err != nil {
		return false, err
	}
	program, err := expr.Parse(env, text)
	if err != nil {
		return false, fmt.Errorf("the expression can't be read: %w", err)
	}
	value, _, err := expr.Eval(program, variables)
	if err != nil {
		return false, fmt.Errorf("the expression can't be evaluated: %s", expr.WhyNot(err))
	}
	is, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression gives %s, not true or false; compare it with something", value.Type())
	}
	return bool(is), nil
}
