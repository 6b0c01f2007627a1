package expr

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// ship is an object with a text of 1 KiB and a list of a thousand entries.
func ship() map[string]any {
	var crew []any
	for range 1000 {
		crew = append(crew, map[string]any{"name": "a sailor", "able": true})
	}
	return map[string]any{"log": strings.Repeat("rain. ", 170), "crew": crew}
}

func program(t testing.TB, text string, checked bool) (cel.Program, error) {
	t.Helper()
	if !checked {
		env, err := Environment()
		if err != nil {
			t.Fatal(err)
		}
		return Parse(env, text)
	}
	env, err := Environment(cel.Variable("log", cel.DynType), cel.Variable("crew", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := Compile(env, text)
	return p, err
}

// What a stranger writes in a Kustomization is evaluated in the agent: none of these may take memory or time from anybody else.
func TestCostlyExpressionsEnd(t *testing.T) {
	for name, text := range map[string]string{
		"a text that doubles":              "[log]" + strings.Repeat(".map(a, a+a)", 40) + ".all(a, size(a) > 1)",
		"a list that doubles":              "[[1]]" + strings.Repeat(".map(a, a+a)", 40) + ".all(a, size(a) > 1)",
		"a text put between its letters":   "log.replace('', log).replace('', log).replace('r', log) == ''",
		"a text put in some places":        "log.replace('r', log, 100).replace('r', log, 1000).replace('r', log, 100000) == ''",
		"a long text joined often":         "crew.map(a, log).map(a, crew.map(b, a).join('')).join('') == ''",
		"joined by a long text":            "crew.map(a, '').join(log.replace('r', log)) == ''",
		"a nest of lists, compared":        "[1]" + strings.Repeat(".map(a, [a, a])", 40) + ".all(a, a == a)",
		"a nest of maps, compared":         "[1]" + strings.Repeat(".map(a, {'x': a, 'y': a})", 40) + ".all(a, a == a)",
		"a nest of lists, printed":         "'%s'.format([1]" + strings.Repeat(".map(a, [a, a, a, a])", 30) + ") == ''",
		"a nest written out":               strings.Repeat("[log,log,log,", 12) + "1" + strings.Repeat("]", 12) + " == crew",
		"lists of lists by comprehension":  "crew.map(a, crew.map(b, crew)) == crew.map(a, crew.map(b, crew))",
		"all pairs":                        "sets.contains(crew + crew, crew + crew)",
		"all triples":                      "crew.all(a, crew.all(b, crew.all(c, true)))",
		"the length of a text, very often": "crew.all(a, crew.all(b, size(log) > 1))",
		"a long search, often":             "crew.all(a, crew.all(b, log.indexOf('sunshine') < 0))",
		"a pattern, often":                 "crew.all(a, crew.all(b, log.matches('(a*)*(b*)*(c*)*(d*)*(rain. )*')))",
		"digits without end":               "'%.999999999f'.format([1.0]) == ''",
	} {
		for _, checked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				p, err := program(t, text, checked)
				if err != nil {
					return // refused before anything is spent
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				_, _, err = Eval(p, ship())
				runtime.ReadMemStats(&after)
				if err == nil {
					t.Error("it must not have a value")
				}
				if taken := (after.TotalAlloc - before.TotalAlloc) >> 20; taken > 300 {
					t.Errorf("it has taken %d MiB", taken)
				}
				if took := time.Since(start); took > time.Minute { // milliseconds, and the machine may be busy
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// CEL's bookkeeping of the cost of a loop with a condition takes time that grows with the square of the list's length.
func TestSlowExpressionsEnd(t *testing.T) {
	p, err := program(t, "crew.filter(a, a == 2).size() > 0", false)
	if err != nil {
		t.Fatal(err)
	}
	crew := make([]any, 150_000)
	for i := range crew {
		crew[i] = int64(1)
	}
	_, _, err = Eval(p, map[string]any{"crew": crew})
	if err == nil || !Lasting(err) {
		t.Fatalf("got %v", err)
	}
	if why := WhyNot(err); !strings.Contains(why, "make it look at less") {
		t.Errorf("got %q", why)
	}
}

// The limits leave room for what people really ask.
func TestOrdinaryExpressionsHaveRoom(t *testing.T) {
	for _, text := range []string{
		"crew.all(a, a.able && a.name != '')",
		"crew.filter(a, a.able).map(a, a.name).join(', ').size() > 1000",
		"crew.exists(a, a.name.replace('sailor', 'pilot').contains('pilot'))",
		"size(log.split(' ')) > 100 && log.lowerAscii().startsWith('rain')",
		"crew.map(a, {'name': a.name, 'able': a.able, 'log': size(log)}).size() == 1000",
		"'%d of %s'.format([size(crew), log]) != ''",
		"sets.contains(crew.map(a, a.name), ['a sailor'])",
		"log.matches('^(rain[.] )+$')",
		"[{'a': log}, {'b': [log, crew]}].size() == 2",
	} {
		for _, checked := range []bool{false, true} {
			p, err := program(t, text, checked)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if value, _, err := Eval(p, ship()); err != nil || value != types.True {
				t.Errorf("%s gives %v, %v", text, value, err)
			}
		}
	}
}

func TestWhyNotDoesNotQuote(t *testing.T) {
	p, err := program(t, "{'a': 1}[log] == 1", false)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Eval(p, map[string]any{"log": "hunter2"})
	if err == nil || !strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("CEL's own words quote the key: %v", err)
	}
	if why := WhyNot(err); strings.Contains(why, "hunter2") || Lasting(err) {
		t.Errorf("got %q, lasting %v", why, Lasting(err))
	}
}

func TestTooLong(t *testing.T) {
	if _, err := program(t, "true || "+strings.Repeat(" ", MaxText), false); err == nil {
		t.Error("an expression of any length is taken")
	}
}
