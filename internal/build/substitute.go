package build

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/envsubst"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// substituteKey, as a label or annotation with the value "disabled", keeps an object as it is.
const substituteKey = "kustomize.toolkit.fluxcd.io/substitute"

var variableName = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

// substitution replaces ${variables} in objects, as Flux 2.9 does: on the object's
// YAML text, so that a value may become a number, a boolean or a structure; strictly,
// so that a variable that is neither defined nor has a default is an error.
type substitution struct {
	vars   map[string]string
	limits Limits
}

// newSubstitution gives nil when there is nothing to substitute: without variables,
// nothing is, unless the strategy is Always.
func newSubstitution(spec *kustomizev1.PostBuild, vars map[string]string, limits Limits) (*substitution, error) {
	always := spec != nil && spec.SubstituteStrategy == kustomizev1.SubstituteStrategyAlways
	if len(vars) == 0 && !always {
		return nil, nil // a nil substitution does nothing
	}
	s := &substitution{vars: make(map[string]string, len(vars)), limits: limits}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !variableName.MatchString(name) {
			return nil, &Error{Reason: ReasonSubstitutionFailed, Message: fmt.Sprintf(
				"the variable name %q is not valid; use letters, digits and underscores, and no digit first", name)}
		}
		s.vars[name] = strings.ReplaceAll(vars[name], "\n", "")
	}
	return s, nil
}

// apply gives the JSON of r after substitution; content is its JSON before.
func (s *substitution) apply(r *resource.Resource, content []byte) ([]byte, error) {
	if s == nil || !bytes.ContainsRune(content, '$') || isDisabled(r) {
		return content, nil
	}
	text, err := yaml.JSONToYAML(content)
	if err != nil {
		return nil, s.fail(r, "cannot be written as YAML; check it for keys that are not strings", err)
	}
	before := string(text)
	if err := s.checkCost(before); err != nil {
		return nil, s.fail(r, err.Error(), nil)
	}
	after, missing, err := s.eval(before)
	switch {
	case len(missing) > 0:
		return nil, s.fail(r, fmt.Sprintf("%s not defined: add to spec.postBuild.substitute, give a default as in ${%s:=value}, "+
			"or write $${%s} for the text itself", listVariables(missing), missing[0], missing[0]), nil)
	case err != nil:
		return nil, s.fail(r, "has a ${…} expression that cannot be read; write $${…} for the text itself", err)
	case after == before:
		return content, nil
	}
	content, err = yaml.YAMLToJSON([]byte(after))
	if err != nil {
		return nil, s.fail(r, brokenBy(before, after, err), nil) // the cause may quote values
	}
	return content, nil
}

func isDisabled(r *resource.Resource) bool {
	return r.GetLabels(substituteKey)[substituteKey] == kustomizev1.DisabledValue ||
		r.GetAnnotations(substituteKey)[substituteKey] == kustomizev1.DisabledValue
}

// eval expands text. When variables are missing it goes on, so that all of them can
// be named at once.
func (s *substitution) eval(text string) (result string, missing []string, err error) {
	defer func() {
		if p := recover(); p != nil { // out-of-range substrings
			result, err = "", fmt.Errorf("panic: %T", p)
		}
	}()
	for {
		last := ""
		result, err = envsubst.Eval(text, func(name string) (string, bool) {
			value, ok := s.vars[name]
			if !ok {
				last = name
				ok = slices.Contains(missing, name)
			}
			return value, ok
		})
		if err == nil || last == "" || slices.Contains(missing, last) || !strings.Contains(err.Error(), "not set") {
			return result, missing, err
		}
		missing = append(missing, last)
	}
}

func (s *substitution) fail(r *resource.Resource, message string, cause error) error {
	return &Error{Reason: ReasonSubstitutionFailed, Object: resourceName(r), Message: message, Err: cause}
}

func listVariables(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, "${"+n+"}")
	}
	if len(names) == 1 {
		return "variable " + quoted[0] + " is"
	}
	return "variables " + strings.Join(quoted, ", ") + " are"
}

var variableUse = regexp.MustCompile(`\$\{([_a-zA-Z][_a-zA-Z0-9]*)`)

// Variables lists the names of the variables in a text, in the order of their first use.
func Variables(text string) []string {
	var names []string
	for _, m := range variableUse.FindAllStringSubmatch(strings.ReplaceAll(text, "$${", ""), -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// brokenBy says which variables may have broken the YAML, without their values.
func brokenBy(before, after string, err error) string {
	const advice = "is no longer valid YAML after substitution"
	lines, line := strings.Split(before, "\n"), lineIn(err.Error())
	if line < 1 || line > len(lines) || len(lines) != strings.Count(after, "\n")+1 {
		return advice + "; put quotes around its variables"
	}
	var names []string
	for l := line; l >= 1 && len(names) == 0; l-- { // parsers notice late
		for _, m := range variableUse.FindAllStringSubmatch(lines[l-1], -1) {
			names = append(names, "${"+m[1]+"}")
		}
	}
	if len(names) == 0 {
		return advice + "; put quotes around its variables"
	}
	return fmt.Sprintf("%s; the value of %s needs quotes around it", advice, strings.Join(names, " or "))
}
