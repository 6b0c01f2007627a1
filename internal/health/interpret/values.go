package interpret

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Limits of what comes out.
const (
	maxShort        = 256 // bytes of a version, a reason, a name
	maxDependencies = 256
)

func truth(v ref.Val) (bool, error) {
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it gives %s, not true or false; compare it with something", v.Type().TypeName())
	}
	return bool(b), nil
}

func shortText(v ref.Val) (string, error) {
	s, err := text(v)
	return cut(s, maxShort), err
}

// number takes what JSON and CEL have for whole numbers.
func number(v ref.Val) (int64, error) {
	switch n := v.(type) {
	case types.Int:
		return int64(n), nil
	case types.Uint:
		return int64(n), nil //nolint:gosec // a count of replicas
	case types.Double:
		return int64(n), nil
	}
	return 0, fmt.Errorf("it gives %s, not a number", v.Type().TypeName())
}

func replicas(v ref.Val) (Replicas, error) {
	m, ok := v.(traits.Mapper)
	if !ok {
		n, err := number(v)
		return Replicas{Desired: n}, err
	}
	desired, err := number(field(m, "desired"))
	if err != nil {
		return Replicas{}, fmt.Errorf("its desired: %w", err)
	}
	out := Replicas{Desired: desired}
	if given := field(m, "ready"); given != types.NullValue {
		ready, err := number(given)
		if err != nil {
			return Replicas{}, fmt.Errorf("its ready: %w", err)
		}
		out.Ready = &ready
	}
	return out, nil
}

// dependencies reads a list of maps; namespace is that of the object.
func dependencies(namespace string) func(ref.Val) ([]Dependency, error) {
	return func(v ref.Val) ([]Dependency, error) {
		list, ok := v.(traits.Lister)
		if !ok {
			return nil, fmt.Errorf("it gives %s, not a list", v.Type().TypeName())
		}
		var all []Dependency
		for i := list.Iterator(); i.HasNext() == types.True; {
			if len(all) == maxDependencies {
				return nil, fmt.Errorf("it gives more than %d objects", maxDependencies)
			}
			d, err := dependency(i.Next(), namespace)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", len(all), err)
			}
			all = append(all, d)
		}
		return all, nil
	}
}

func dependency(v ref.Val, namespace string) (Dependency, error) {
	if _, ok := v.(traits.Mapper); !ok {
		return Dependency{}, errors.New("it is no map with kind and name")
	}
	d := Dependency{APIVersion: "v1", Namespace: namespace}
	for _, f := range []struct {
		name string
		into *string
	}{{"apiVersion", &d.APIVersion}, {"kind", &d.Kind}, {"namespace", &d.Namespace}, {"name", &d.Name}} {
		given := field(v, f.name)
		if given == types.NullValue {
			continue
		}
		s, err := text(given)
		if err != nil {
			return Dependency{}, fmt.Errorf("%s: %w", f.name, err)
		}
		*f.into = cut(s, maxShort)
	}
	if d.Kind == "" || d.Name == "" {
		return Dependency{}, errors.New("it has no kind or no name")
	}
	return d, nil
}
