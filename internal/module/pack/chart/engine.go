package chart

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// source is one template, and what it is executed with.
type source struct {
	text string
	data map[string]any
	// base is the folder of its chart's templates.
	base string
}

// engine executes the templates of one chart, once.
type engine struct {
	guard *guard
	seen  map[*parse.Tree]bool
	// random is the function that gives something else each time which the template that is being executed has called first.
	random string
}

// output is what one template wrote.
type output struct{ text, random string }

// missing is what text/template prints where there is nothing; Helm prints nothing.
const missing = "<no value>"

// execute gives what each template writes, by its name, but for those that are only there for others. All together may take so many steps.
func execute(ctx context.Context, sources map[string]source, now time.Time, steps int) (map[string]output, error) {
	e := &engine{guard: &guard{ctx: ctx, most: steps}, seen: map[*parse.Tree]bool{}}
	set := template.New("chart").Option("missingkey=zero")
	all := functions(now, func(name string) { e.random = cmp.Or(e.random, name) })
	all["required"] = required
	all["fail"] = func(text string) (string, error) { return "", failf("", "%s", text) }
	all[stepWord] = func() (string, error) { return "", nil }
	all[showWord] = func(v any) (any, error) { return v, weigh(v) }
	set.Funcs(e.guard.all(all))
	e.lend(set)

	names := order(sources)
	for _, name := range names {
		if _, err := set.New(name).Parse(sources[name].text); err != nil {
			return nil, explain(name, err)
		}
	}
	instrument(set, e.seen)

	written := make(map[string]output, len(names))
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		data := sources[name].data
		data["Template"] = map[string]any{"Name": name, "BasePath": sources[name].base}
		p := &page{guard: e.guard}
		e.random = ""
		if err := set.ExecuteTemplate(p, name, data); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, explain(name, err)
		}
		written[name] = output{strings.ReplaceAll(p.text.String(), missing, ""), e.random}
	}
	return written, nil
}

// lend gives a set the functions that execute templates of it.
func (e *engine) lend(set *template.Template) {
	set.Funcs(template.FuncMap{"include": e.include(set), "tpl": e.tpl(set)})
}

func (e *engine) include(set *template.Template) func(string, any) (string, error) {
	return func(name string, data any) (string, error) {
		defer e.guard.leave()
		if err := e.guard.enter(); err != nil {
			return "", err
		}
		p := &page{guard: e.guard}
		err := set.ExecuteTemplate(p, name, data)
		return p.text.String(), err
	}
}

// tpl executes a text as a template that knows all others. What it defines is known in it only.
func (e *engine) tpl(set *template.Template) func(string, any) (string, error) {
	return func(text string, data any) (string, error) {
		defer e.guard.leave()
		if err := e.guard.enter(); err != nil {
			return "", err
		}
		own, err := set.Clone()
		if err != nil {
			return "", err
		}
		own.Option("missingkey=zero")
		e.lend(own)
		t, err := own.New(set.Name()).Parse(text)
		if err != nil {
			return "", err
		}
		instrument(own, e.seen)
		p := &page{guard: e.guard}
		if err := t.Execute(p, data); err != nil {
			return "", err
		}
		return strings.ReplaceAll(p.text.String(), missing, ""), nil
	}
}

func required(complaint string, v any) (any, error) {
	if text, isText := v.(string); v == nil || isText && text == "" {
		return nil, failf("", "%s", complaint)
	}
	return v, nil
}

// order has the templates of subcharts before those of charts, so that what a chart defines wins: Helm's order.
func order(sources map[string]source) []string {
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")), cmp.Compare(b, a))
	})
	return names
}
