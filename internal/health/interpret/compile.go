package interpret

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/expr"
)

// Limits of a definition.
const (
	maxRules    = 32
	maxTests    = 64
	maxVersions = 16
)

// self is the object in expressions.
const self = "self"

// Interpreter judges the objects of a kind. It is safe for concurrent use.
type Interpreter struct {
	target   Target
	priority int32
	rules    []rule

	replicas, drained, dependencies, version *expression
}

// rule is a Rule, ready for use.
type rule struct {
	state   health.State
	when    *expression // nil: always
	word    string      // reason, where it is a word
	reason  *expression
	message *expression
}

// expression of a definition, with where it is written: health[2].when.
type expression struct {
	where   string
	program cel.Program
}

// Invalid is what is wrong with a definition: all of it, each with the field or rule that it is about.
type Invalid struct{ Errors []error }

// Error lists what is wrong, one line each.
func (e *Invalid) Error() string { return errors.Join(e.Errors...).Error() }

// Unwrap gives all errors.
func (e *Invalid) Unwrap() []error { return e.Errors }

// Compile reads a definition. Its error is an *Invalid, for the person who wrote the definition. The tests are not run: see Check.
func Compile(d Definition) (*Interpreter, error) {
	c := &compiler{}
	var err error
	if c.env, err = environment(); err != nil {
		return nil, err
	}
	i := &Interpreter{target: d.Target, priority: PriorityPlatform}
	if d.Priority != nil {
		i.priority = *d.Priority
	}
	c.target(d.Target, i.priority)
	if len(d.Health) > maxRules {
		c.fail("health", "there are %d rules; %d are the limit", len(d.Health), maxRules)
		d.Health = nil
	}
	for n, r := range d.Health {
		i.rules = append(i.rules, c.rule(fmt.Sprintf("health[%d]", n), r))
	}
	i.replicas = c.optional("replicas", d.Replicas, cel.IntType, cel.MapType(cel.DynType, cel.DynType))
	i.drained = c.optional("drained", d.Drained, cel.BoolType)
	i.dependencies = c.optional("dependencies", d.Dependencies, cel.ListType(cel.DynType))
	i.version = c.optional("version", d.Version, cel.StringType)
	if len(d.Health) == 0 && d.Replicas == "" && d.Drained == "" && d.Dependencies == "" && d.Version == "" && len(c.errs) == 0 {
		c.fail("health", "the interpreter says nothing; give it a rule, or one of replicas, drained, dependencies and version")
	}
	c.tests(d)
	if len(c.errs) > 0 {
		return nil, &Invalid{c.errs}
	}
	return i, nil
}

// compiler collects what is wrong.
type compiler struct {
	env  *cel.Env
	errs []error
}

func (c *compiler) fail(where, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...)))
}

func (c *compiler) target(t Target, priority int32) {
	if priority < 0 || priority > MaxPriority {
		c.fail("priority", "%d is not between 0 and %d", priority, MaxPriority)
	}
	domain := strings.TrimPrefix(t.Group, "*.")
	if domain != "" && len(validation.IsDNS1123Subdomain(domain)) > 0 {
		c.fail("target.group", "%q is no API group; write one such as cert-manager.io, or *.example.org for all that end so", t.Group)
	}
	if t.Kind != "*" && !isKind(t.Kind) {
		c.fail("target.kind", "%q is no kind; write one such as Certificate, or * for all of the group", t.Kind)
	}
	if len(t.Versions) > maxVersions {
		c.fail("target.versions", "there are %d; %d are the limit", len(t.Versions), maxVersions)
	}
	for n, v := range t.Versions {
		if len(validation.IsDNS1035Label(v)) > 0 {
			c.fail(fmt.Sprintf("target.versions[%d]", n), "%q is no version; write one such as v1", v)
		}
	}
	if t.Group == "" && (t.Kind == "Secret" || t.Kind == "*") {
		c.fail("target.kind", "Secrets are not interpreted: what an expression says of them would be shown")
	}
	if t.ofKubernetes() && priority < PriorityLocal {
		c.fail("target.group", "kinds of Kubernetes itself are judged by the rules that are built in; only an interpreter of a priority of %d or more may change that", PriorityLocal)
	}
}

func isKind(kind string) bool {
	return kind != "" && len(validation.IsDNS1035Label(strings.ToLower(kind))) == 0
}

// word is what a verdict may have as a reason.
var word = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,127}$`)

func (c *compiler) rule(where string, r Rule) rule {
	out := rule{state: r.State}
	if !isState(r.State) {
		c.fail(where+".state", "there is no %q; use Healthy, Progressing, Degraded or Unknown", r.State)
	}
	out.when = c.optional(where+".when", r.When, cel.BoolType)
	switch expression, is := strings.CutPrefix(r.Reason, "="); {
	case is:
		out.reason = c.optional(where+".reason", expression, cel.StringType)
	case r.Reason != "" && !word.MatchString(r.Reason):
		c.fail(where+".reason", "%q is not one CamelCase word; write one, or an expression after =", r.Reason)
	default:
		out.word = r.Reason
	}
	out.message = c.optional(where+".message", r.Message, cel.StringType)
	return out
}

func isState(s health.State) bool {
	return slices.Contains([]health.State{health.Healthy, health.Progressing, health.Degraded, health.Unknown}, s)
}

// optional compiles an expression that must give one of the types, or null for what is not known.
func (c *compiler) optional(where, text string, kinds ...*cel.Type) *expression {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	program, out, err := expr.CompileBounded(c.env, text)
	if err != nil {
		c.fail(where, "%w", err)
		return nil
	}
	if out.Kind() == types.OpaqueKind && out.TypeName() == types.OptionalType.TypeName() && len(out.Parameters()) == 1 {
		out = out.Parameters()[0]
	}
	// What depends on the object's fields has any type; only the evaluation will tell.
	if out.Kind() != cel.DynType.Kind() && !slices.ContainsFunc(kinds, func(k *cel.Type) bool { return out.Kind() == k.Kind() }) {
		c.fail(where, "the expression gives %s, and must give %s", out, names(kinds))
		return nil
	}
	return &expression{where, program}
}

func names(kinds []*cel.Type) string {
	var all []string
	for _, k := range kinds {
		name := k.String()
		if before, _, ok := strings.Cut(name, "("); ok {
			name = before
		}
		all = append(all, "a "+map[string]string{"bool": "truth value", "string": "text", "int": "number"}[name])
		if all[len(all)-1] == "a " {
			all[len(all)-1] = "a " + name
		}
	}
	return strings.Join(all, " or ")
}

func (c *compiler) tests(d Definition) {
	if len(d.Tests) > maxTests {
		c.fail("tests", "there are %d tests; %d are the limit", len(d.Tests), maxTests)
		return
	}
	seen := map[string]bool{}
	for n, t := range d.Tests {
		where := fmt.Sprintf("tests[%d]", n)
		switch {
		case t.Name == "":
			c.fail(where, "the test has no name; say what its object is")
		case seen[t.Name]:
			c.fail(where, "there is another test %q; give each a name of its own", t.Name)
		case len(t.Object) == 0:
			c.fail(where, "test %q has no object", t.Name)
		case reflect.DeepEqual(t.Want, Want{}):
			c.fail(where, "test %q wants nothing; say what must come out", t.Name)
		case t.Want.Health != "" && !isState(t.Want.Health):
			c.fail(where, "test %q wants health %q; use Healthy, Progressing, Degraded or Unknown", t.Name, t.Want.Health)
		case !d.Target.covers(gvkOf(t.Object)):
			c.fail(where, "the object of test %q is not of the interpreter's kind", t.Name)
		}
		seen[t.Name] = true
	}
}
