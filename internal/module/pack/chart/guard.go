package chart

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"text/template"
)

// guard counts what an execution costs and ends it when that is too much, or when its context has ended.
type guard struct {
	ctx    context.Context //nolint:containedctx // The life of one rendering.
	most   int             // steps
	steps  int
	depth  int
	output int
}

// step is called for every function, loop and template.
func (g *guard) step() error {
	if g.steps++; g.steps > g.most {
		return failf("", "the templates take more than %d steps: they look like an endless loop", g.most)
	}
	if g.steps%256 == 0 {
		return g.ctx.Err()
	}
	return nil
}

// enter is called for each template that is included in another one; leave when it ends.
func (g *guard) enter() error {
	if g.depth++; g.depth > maxDepth {
		return failf("", "templates are included in each other more than %d deep: they look like an endless recursion", maxDepth)
	}
	return g.step()
}

func (g *guard) leave() { g.depth-- }

// page is what a template writes to.
type page struct {
	guard *guard
	text  strings.Builder
}

func (p *page) Write(b []byte) (int, error) {
	if p.guard.output += len(b); p.guard.output > maxOutput {
		return 0, failf("", "the templates write more than %d bytes", maxOutput)
	}
	if err := p.guard.ctx.Err(); err != nil {
		return 0, err
	}
	return p.text.Write(b)
}

// all puts the guard around functions.
func (g *guard) all(functions template.FuncMap) template.FuncMap {
	guarded := make(template.FuncMap, len(functions))
	for name, f := range functions {
		guarded[name] = g.around(name, f)
	}
	return guarded
}

var errorType = reflect.TypeFor[error]()

// around counts the calls of a function, and refuses results that are too large to be built upon.
func (g *guard) around(name string, f any) any {
	inner := reflect.ValueOf(f)
	t := inner.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	call := inner.Call
	if t.IsVariadic() {
		call = inner.CallSlice
	}
	outer := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(outer, func(args []reflect.Value) []reflect.Value {
		fail := func(err error) []reflect.Value {
			return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		if err := g.step(); err != nil {
			return fail(err)
		}
		out := call(args)
		if len(out) == 2 && !out[1].IsNil() {
			return []reflect.Value{out[0], out[1]}
		}
		if n := size(out[0]); n > maxResult {
			return fail(failf("", "%s gives more than %d bytes or elements", name, maxResult))
		}
		return []reflect.Value{out[0], reflect.Zero(errorType)}
	}).Interface()
}

// size is the length of a text or a list.
func size(v reflect.Value) int {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len()
	}
	return 0
}

// weigh refuses values that would be too large written out: a few tables that hold each other twice are enough for that.
func weigh(values ...any) error {
	left := maxWeight
	for _, v := range values {
		if !lighter(reflect.ValueOf(v), &left) {
			return failf("", "a value of more than %d parts can't be written out", maxWeight)
		}
	}
	return nil
}

func lighter(v reflect.Value, left *int) bool {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if *left--; *left < 0 {
		return false
	}
	switch v.Kind() {
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if !lighter(entries.Value(), left) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k == reflect.Uint8 || k == reflect.String || k == reflect.Int {
			return true // bounded where they were made
		}
		for i := range v.Len() {
			if !lighter(v.Index(i), left) {
				return false
			}
		}
	}
	return true
}

// bounded refuses what would be too large before it is made.
func bounded(name string, parts ...int) error {
	product := 1
	for _, n := range parts {
		n = max(n, 1)
		if product > maxResult/n {
			return fmt.Errorf("%s: %w", name, failf("", "it gives more than %d bytes or elements", maxResult))
		}
		product *= n
	}
	return nil
}
