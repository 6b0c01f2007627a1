package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// selection is what the arguments of a verb mean: some kinds, and perhaps one object.
type selection struct {
	kinds []kind
	name  string // "": all of them
}

// errNoName is why a verb that works on one object can't.
func errNoName(args []string) error {
	return usagef("name is missing: give KIND NAME, for example %q", strings.Join(args, " ")+" shop")
}

// selected reads the arguments in which people name objects: KIND, KIND NAME, KIND/NAME, "all", and as the flux CLI has it
// "source TYPE" and "source TYPE NAME". "source NAME" is the source of that name, of whichever kind. No argument means everything.
func selected(args []string) (selection, error) {
	if len(args) == 0 {
		return selection{kinds: kinds()}, nil
	}
	if word, name, ok := strings.Cut(args[len(args)-1], "/"); ok {
		args = append(slices.Clone(args[:len(args)-1]), word, name)
		if name == "" {
			return selection{}, usagef("want KIND/NAME, got %q", strings.Join(args, " "))
		}
	}
	chosen, rest, err := selectedKinds(args)
	switch {
	case err != nil:
		return selection{}, err
	case len(rest) > 1:
		return selection{}, usagef("want KIND NAME, got %q", strings.Join(args, " "))
	case len(rest) == 0:
		return selection{kinds: chosen}, nil
	case args[0] == "all":
		return selection{}, usagef("'all' takes no name: say which kind %q is", rest[0])
	default:
		return selection{kinds: chosen, name: rest[0]}, nil
	}
}

// selectedKinds reads the words for kinds at the beginning of args, and returns what is left.
func selectedKinds(args []string) ([]kind, []string, error) {
	word, rest := strings.ToLower(args[0]), args[1:]
	switch word {
	case "all":
		return kinds(), rest, nil
	case "source", "sources":
		if len(rest) == 0 {
			return sourceKinds(), nil, nil
		}
		if rest[0] == "all" {
			return sourceKinds(), rest[1:], nil
		}
		if k, err := kindNamed(rest[0]); err == nil && k.sourceAs != "" {
			return []kind{k}, rest[1:], nil
		}
		if len(rest) > 1 {
			return nil, nil, usagef("unknown type of source %q: use one of %s", rest[0], strings.Join(sourceTypes(), ", "))
		}
		return sourceKinds(), rest, nil
	}
	k, err := kindNamed(word)
	return []kind{k}, rest, err
}

// sourceTypes are the words after "source", as the flux CLI has them.
func sourceTypes() []string {
	var types []string
	for _, k := range sourceKinds() {
		types = append(types, k.sourceAs)
	}
	return types
}

// selectedOne is selected for a verb that works on one object.
func selectedOne(args []string) (selection, error) {
	sel, err := selected(args)
	if err == nil && sel.name == "" {
		err = errNoName(args)
	}
	return sel, err
}

// words is what the selection's kinds are called in a message.
func (s selection) words() string {
	if len(s.kinds) == 1 {
		return s.kinds[0].words[1]
	}
	if !slices.ContainsFunc(s.kinds, func(k kind) bool { return k.sourceAs == "" }) {
		return "sources"
	}
	return "objects"
}

// find reads the object of a selection. Where several kinds are meant, there must be one object of the name among them.
func (c *cluster) find(ctx context.Context, sel selection) (kind, delivered, error) {
	if len(sel.kinds) == 1 {
		obj, err := c.get(ctx, sel.kinds[0], c.namespace, sel.name)
		return sel.kinds[0], obj, err
	}
	var (
		found []kind
		obj   delivered
	)
	for _, k := range sel.kinds {
		candidate := k.newObject()
		err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: sel.name}, candidate)
		if apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return kind{}, nil, fmt.Errorf("read %s %s/%s: %w", k.name, c.namespace, sel.name, err)
		}
		found, obj = append(found, k), candidate
	}
	switch len(found) {
	case 0:
		return kind{}, nil, c.notFoundAmong(ctx, sel)
	case 1:
		return found[0], obj, nil
	default:
		return kind{}, nil, fmt.Errorf("%s and %s are both called %q; say which one: %s/%s or %s/%s",
			found[0].name, found[1].name, sel.name, found[0].words[0], sel.name, found[1].words[0], sel.name)
	}
}

func (c *cluster) notFoundAmong(ctx context.Context, sel selection) error {
	var names []string
	for _, k := range sel.kinds {
		items, err := k.list(ctx, c, client.InNamespace(c.namespace))
		if err != nil {
			continue // the hint is a courtesy
		}
		for _, item := range items {
			names = append(names, k.words[0]+"/"+item.GetName())
		}
	}
	hint := "'slipway get sources -A' lists those of all namespaces"
	if len(names) > 0 {
		hint = "there are: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("no source %q in namespace %q; %s", sel.name, c.namespace, hint)
}
