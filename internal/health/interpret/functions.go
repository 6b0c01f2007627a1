package interpret

import (
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/slipway-dev/slipway/internal/health/expr"
)

// maxConditions is how many conditions are looked through for one of a type. No kind has that many.
const maxConditions = 256

// environment is what expressions of interpreters may use: that of healthCheckExprs, the object as self, and condition. It is prepared once.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return expr.Environment(
		cel.Variable(self, cel.MapType(cel.StringType, cel.DynType)),
		cel.Function("condition",
			cel.MemberOverload("slipway_condition_string", []*cel.Type{cel.DynType, cel.StringType}, cel.MapType(cel.StringType, cel.DynType),
				cel.BinaryBinding(conditionOf))),
	)
})

// conditionOf is self.condition('Ready') and list.condition('Ready'): the condition of that type in status.conditions of an object, or in a
// list of conditions. It is always there: one that is not has empty texts. Its field stale is true where it speaks of an older generation of
// the object; of a list that is not known.
func conditionOf(from, wanted ref.Val) ref.Val {
	name, ok := wanted.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(wanted)
	}
	list, generation := from, types.Int(0)
	if object, ok := from.(traits.Mapper); ok {
		list = field(field(object, "status"), "conditions")
		generation, _ = field(field(object, "metadata"), "generation").(types.Int)
	}
	found := map[string]any{"type": string(name), "status": "", "reason": "", "message": "", "stale": false}
	conditions, ok := list.(traits.Lister)
	if !ok {
		return types.DefaultTypeAdapter.NativeToValue(found)
	}
	looked := 0
	for i := conditions.Iterator(); i.HasNext() == types.True && looked < maxConditions; looked++ {
		c, ok := i.Next().(traits.Mapper)
		if !ok || field(c, "type").Equal(name) != types.True {
			continue
		}
		for _, key := range []string{"status", "reason", "message"} {
			if text, ok := field(c, key).(types.String); ok {
				found[key] = string(text)
			}
		}
		observed, ok := field(c, "observedGeneration").(types.Int)
		found["stale"] = ok && observed < generation
		break
	}
	return types.DefaultTypeAdapter.NativeToValue(found)
}

// field of a map; null where it is not there, or where there is no map.
func field(of ref.Val, name string) ref.Val {
	m, ok := of.(traits.Mapper)
	if !ok {
		return types.NullValue
	}
	value, found := m.Find(types.String(name))
	if !found || value == nil {
		return types.NullValue
	}
	return value
}

// text of a value, for what must be one.
func text(v ref.Val) (string, error) {
	s, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("it gives %s, not a text; put string() around it", v.Type().TypeName())
	}
	return string(s), nil
}
