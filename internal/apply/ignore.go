package apply

import (
	"fmt"
	"regexp"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// Ignore are the fields of a set's objects that others may change: spec.ignore of a Kustomization. Nil ignores nothing.
type Ignore struct{ rules []ignoreRule }

type ignoreRule struct {
	paths []pointer
	// All must match; nil matches all.
	group, version, kind, name, namespace *regexp.Regexp
	labels, annotations                   labels.Selector
}

// Bounds of spec.ignore, so that a typing error costs nobody but its author.
const (
	maxIgnoreRules = 100
	maxIgnorePaths = 100
)

// CompileIgnore reads spec.ignore. Its error names the rule, for the person who wrote it.
func CompileIgnore(rules []kustomizev1.IgnoreRule) (*Ignore, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	if len(rules) > maxIgnoreRules {
		return nil, fmt.Errorf("spec.ignore has %d rules; %d are the limit", len(rules), maxIgnoreRules)
	}
	out := &Ignore{rules: make([]ignoreRule, len(rules))}
	for i, rule := range rules {
		var err error
		if out.rules[i], err = compileRule(rule); err != nil {
			return nil, fmt.Errorf("spec.ignore[%d]: %w", i, err)
		}
	}
	return out, nil
}

func compileRule(rule kustomizev1.IgnoreRule) (ignoreRule, error) {
	var out ignoreRule
	if len(rule.Paths) > maxIgnorePaths {
		return out, fmt.Errorf("has %d paths; %d are the limit", len(rule.Paths), maxIgnorePaths)
	}
	for _, text := range rule.Paths {
		p, err := parsePointer(text)
		if err != nil {
			return out, err
		}
		out.paths = append(out.paths, p)
	}
	if rule.Target == nil {
		return out, nil
	}
	for _, one := range []struct {
		field, text string
		into        **regexp.Regexp
	}{
		{"group", rule.Target.Group, &out.group},
		{"version", rule.Target.Version, &out.version},
		{"kind", rule.Target.Kind, &out.kind},
		{"name", rule.Target.Name, &out.name},
		{"namespace", rule.Target.Namespace, &out.namespace},
	} {
		if one.text == "" {
			continue
		}
		re, err := regexp.Compile("^(?:" + one.text + ")$")
		if err != nil {
			return out, fmt.Errorf("target.%s is no regular expression: %w", one.field, err)
		}
		*one.into = re
	}
	var err error
	if out.labels, err = selector(rule.Target.LabelSelector); err != nil {
		return out, fmt.Errorf("target.labelSelector: %w", err)
	}
	if out.annotations, err = selector(rule.Target.AnnotationSelector); err != nil {
		return out, fmt.Errorf("target.annotationSelector: %w", err)
	}
	return out, nil
}

func selector(text string) (labels.Selector, error) {
	if text == "" {
		return nil, nil
	}
	return labels.Parse(text)
}

// of returns the fields of an object that are ignored.
func (i *Ignore) of(obj *unstructured.Unstructured) []pointer {
	if i == nil {
		return nil
	}
	var all []pointer
	for _, rule := range i.rules {
		if rule.matches(obj) {
			all = append(all, rule.paths...)
		}
	}
	return all
}

func (r ignoreRule) matches(obj *unstructured.Unstructured) bool {
	gvk := obj.GroupVersionKind()
	for _, one := range []struct {
		re    *regexp.Regexp
		value string
	}{{r.group, gvk.Group}, {r.version, gvk.Version}, {r.kind, gvk.Kind}, {r.name, obj.GetName()}, {r.namespace, obj.GetNamespace()}} {
		if one.re != nil && !one.re.MatchString(one.value) {
			return false
		}
	}
	return (r.labels == nil || r.labels.Matches(labels.Set(obj.GetLabels()))) &&
		(r.annotations == nil || r.annotations.Matches(labels.Set(obj.GetAnnotations())))
}

// pointer is a JSON pointer (RFC 6901), without its escapes.
type pointer []string

func parsePointer(text string) (pointer, error) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok || rest == "" {
		return nil, fmt.Errorf("path %q is no JSON pointer: write it like /spec/replicas", text)
	}
	p := pointer(strings.Split(rest, "/"))
	for i, segment := range p {
		p[i] = strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
	}
	if identifies(p) {
		return nil, fmt.Errorf("path %q is what the object is known by, and can't be ignored: name a field below it", text)
	}
	return p, nil
}

// identifies tells whether an object can't be applied, or not be found again, without the field at p.
func identifies(p pointer) bool {
	switch p[0] {
	case "apiVersion", "kind":
		return true
	case "metadata":
		return len(p) == 1 || p[1] == "name" || p[1] == "namespace" || p[1] == "managedFields" || p[1] == "labels" && len(p) == 2 ||
			p[1] == "labels" && (p[2] == DefaultGroup+"/name" || p[2] == DefaultGroup+"/namespace")
	}
	return false
}
