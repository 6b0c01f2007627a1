package crd

import (
	"fmt"
	"slices"
)

// names judges the names by which people and clients know the kind.
func names(r *Report, c Change) {
	both(r, c, func(d Direction, a, b *definition) {
		was, is := a.Spec.Names, b.Spec.Names
		if was.Kind != is.Kind {
			r.add(d, KindChanged, "", "spec.names.kind", was.Kind+" to "+is.Kind)
		}
		if was.ListKind != is.ListKind && was.Kind == is.Kind {
			r.add(d, NameDropped, "", "spec.names.listKind", "the list kind "+was.ListKind)
		}
		if was.Singular != is.Singular && was.Kind == is.Kind {
			r.add(d, NameDropped, "", "spec.names.singular", "the name "+was.Singular)
		}
		for _, name := range was.ShortNames {
			if !slices.Contains(is.ShortNames, name) {
				r.add(d, NameDropped, "", "spec.names.shortNames", "the short name "+name)
			}
		}
		for _, name := range was.Categories {
			if !slices.Contains(is.Categories, name) {
				r.add(d, NameDropped, "", "spec.names.categories", "the category "+name)
			}
		}
	})
}

// collisions judges whether other definitions have the names already. Within a group the API server doesn't serve the second one;
// between groups kubectl takes one of them. Categories are meant to be shared; one that is also a kind's name hides the kind.
func collisions(r *Report, c Change) {
	ours := c.Next.Spec
	resources := append([]string{ours.Names.Plural, ours.Names.Singular}, ours.Names.ShortNames...)
	kinds := []string{ours.Names.Kind, ours.Names.ListKind}
	for _, other := range c.Others {
		if other == nil || other.Name == c.Next.Name {
			continue
		}
		other = normal(other)
		theirs := other.Spec.Names
		taken := append([]string{theirs.Plural, theirs.Singular}, theirs.ShortNames...)
		if other.Spec.Group == ours.Group {
			for _, name := range distinct(resources) {
				if slices.Contains(taken, name) {
					r.add(Forward, NameTaken, "", "spec.names", fmt.Sprintf("the name %s is %s's already", name, other.Name))
				}
			}
			for _, kind := range distinct(kinds) {
				if kind == theirs.Kind || kind == theirs.ListKind {
					r.add(Forward, NameTaken, "", "spec.names.kind", fmt.Sprintf("the kind %s is %s's already", kind, other.Name))
				}
			}
			continue
		}
		for _, name := range distinct(resources) {
			if slices.Contains(taken, name) && (c.Live == nil || !isName(c.Live, name)) {
				r.add(Forward, NameShadowed, "", "spec.names", fmt.Sprintf("the name %s is also %s's", name, other.Name))
			}
		}
		for _, category := range distinct(ours.Names.Categories) {
			if slices.Contains(taken, category) && (c.Live == nil || !slices.Contains(c.Live.Spec.Names.Categories, category)) {
				r.add(Forward, NameShadowed, "", "spec.names.categories", fmt.Sprintf("the category %s is also a name of %s", category, other.Name))
			}
		}
	}
}

func isName(d *definition, name string) bool {
	n := d.Spec.Names
	return name == n.Plural || name == n.Singular || slices.Contains(n.ShortNames, name)
}

func distinct(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })
	slices.Sort(names)
	return slices.Compact(names)
}
