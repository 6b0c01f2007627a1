package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/teach"
)

// maxInterpreted bounds a file that is interpreted, in bytes.
const maxInterpreted = 4 << 20

// builtIn is who has said a verdict that no interpreter gave.
const builtIn = "built in"

func newInterpret(app *App) *cobra.Command {
	var with string
	cmd := &cobra.Command{
		Use:   "interpret FILE | KIND/NAME",
		Short: "Say how an object is doing as the agent sees it, or run the tests of an Interpreter",
		Long: `Say of an object what the agent makes of it: its health with the reason, its replicas, whether it is drained, what it depends
on, its version, and which interpreter and which rule of it say so. The object is read from the cluster, or from a file with one or
several of them; - is the standard input.

A file may also have Interpreters, which teach the agent a kind: then they are checked, and their tests are run. With --interpreter
the one in that file speaks, whatever the others say. Those that come with Slipway are known; of an object in the cluster, those in
the cluster are asked before them.

The exit code says whether it could be told, not whether the object is healthy; of an Interpreter, whether its tests hold.`,
		Example: `  # An object in the cluster
  slipway module interpret certificate/shop -n web

  # An object in a file, for a script
  slipway module interpret canary.yaml -o json

  # Write an Interpreter: check it and run the tests in it
  slipway module interpret boat.yaml

  # and try it out on what is in the cluster
  slipway module interpret boat/afloat -n sea --interpreter boat.yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeAnyObject(app),
	}
	cmd.Flags().StringVar(&with, "interpreter", "", "file with the Interpreter that is to speak")
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report, err := app.interpret(cmd.Context(), args[0], with)
		if err != nil {
			return err
		}
		if err := present(app, out, report, app.printInterpreted); err != nil {
			return err
		}
		if n := report.failures(); n > 0 {
			return fmt.Errorf("%d things are wrong with what was given", n)
		}
		return nil
	}
	return cmd
}

// interpretReport is what is known of all that was given.
type interpretReport struct {
	Objects      []interpreted       `json:"objects,omitempty"`
	Interpreters []checkedDefinition `json:"interpreters,omitempty"`
}

// interpreted is what is known of an object.
type interpreted struct {
	Object       string                 `json:"object"`
	Health       health.State           `json:"health"`
	Reason       string                 `json:"reason"`
	Message      string                 `json:"message"`
	Replicas     *interpret.Replicas    `json:"replicas,omitempty"`
	Drained      *bool                  `json:"drained,omitempty"`
	Dependencies []interpret.Dependency `json:"dependencies,omitempty"`
	Version      string                 `json:"version,omitempty"`
	// Interpreter that speaks for the kind; "built in": none but Slipway's own rules.
	Interpreter string `json:"interpreter"`
	// Rule of it that has decided about the health. "built in": none of them.
	Rule     string   `json:"rule"`
	Problems []string `json:"problems,omitempty"`
}

// checkedDefinition is what is known of an Interpreter.
type checkedDefinition struct {
	Name   string   `json:"name"`
	Target string   `json:"target"`
	Tests  int      `json:"tests"`
	Wrong  []string `json:"wrong,omitempty"`
}

func (r *interpretReport) failures() int {
	n := 0
	for _, d := range r.Interpreters {
		n += len(d.Wrong)
	}
	return n
}

// interpreters gives what comes with Slipway, before it what the cluster has, if one is asked, and before that what the file says.
func (a *App) interpreters(ctx context.Context, c *cluster, file string) (*interpret.Registry, error) {
	registry, err := c.interpreters(ctx)
	if err != nil || file == "" {
		return registry, err
	}
	content, err := a.readInterpreted(file)
	if err != nil {
		return nil, err
	}
	all, err := documents(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for _, doc := range all {
		name, d, err := interpret.Read(doc)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		highest := int32(interpret.MaxPriority)
		d.Priority = &highest
		i, err := interpret.Compile(d)
		if err != nil {
			return nil, fmt.Errorf("%s is not valid:\n%w\n'slipway module interpret %s' checks it", name, err, file)
		}
		registry.Set(name, i)
	}
	return registry, nil
}

// interpreters gives what comes with Slipway, and before it what the cluster has, as the agent does. No cluster, one without the kind, and
// one that doesn't show them have none.
func (c *cluster) interpreters(ctx context.Context) (*interpret.Registry, error) {
	registry := interpret.NewRegistry(interpreters.All()...)
	if c == nil {
		return registry, nil
	}
	if err := teach.New(registry, nil).Load(ctx, c); err != nil && !apimeta.IsNoMatchError(err) && !apierrors.IsForbidden(err) {
		return nil, err
	}
	return registry, nil
}

func (a *App) interpret(ctx context.Context, what, with string) (*interpretReport, error) {
	report := &interpretReport{}
	content, err := a.readInterpreted(what)
	if err == nil {
		registry, err := a.interpreters(ctx, nil, with)
		if err != nil {
			return nil, err
		}
		return report, report.addFile(what, content, registry)
	}
	word, name, ok := strings.Cut(what, "/")
	if !errors.Is(err, os.ErrNotExist) || !ok || word == "" || name == "" || strings.Contains(name, "/") || strings.HasPrefix(word, ".") {
		if errors.Is(err, os.ErrNotExist) {
			return nil, usagef("there is no file %q; want a file, or KIND/NAME for an object in the cluster", what)
		}
		return nil, err
	}
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	registry, err := a.interpreters(ctx, c, with)
	if err != nil {
		return nil, err
	}
	obj, err := c.findAny(ctx, word, name)
	if err != nil {
		return nil, err
	}
	report.addObject(obj, registry)
	return report, nil
}

// readInterpreted reads a file, or the standard input.
func (a *App) readInterpreted(name string) ([]byte, error) {
	from := a.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	content, err := io.ReadAll(io.LimitReader(from, maxInterpreted+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxInterpreted {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxInterpreted)
	}
	return content, nil
}

// documents splits YAML, and leaves out what has no content.
func documents(content []byte) ([][]byte, error) {
	var all [][]byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if empty, err := yaml.YAMLToJSON(doc); err == nil && string(empty) == "null" {
			continue
		}
		all = append(all, doc)
	}
}

func (r *interpretReport) addFile(file string, content []byte, registry *interpret.Registry) error {
	all, err := documents(content)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for n, doc := range all {
		asJSON, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return fmt.Errorf("read document %d of %s: %w", n+1, file, err)
		}
		obj := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(asJSON, &obj.Object); err != nil || obj.GetKind() == "" {
			return fmt.Errorf("document %d of %s is no object: it has no kind", n+1, file)
		}
		if interpret.IsInterpreter(obj) {
			r.addInterpreter(obj.GetName(), doc)
		} else {
			r.addObject(obj, registry)
		}
	}
	if len(r.Objects)+len(r.Interpreters) == 0 {
		return fmt.Errorf("%s has no object in it", file)
	}
	return nil
}

func (r *interpretReport) addInterpreter(name string, content []byte) {
	checked := checkedDefinition{Name: name}
	_, d, err := interpret.Read(content)
	var wrong []error
	if err != nil {
		wrong = interpret.Faults(err)
	} else {
		checked.Target, checked.Tests = d.Target.String(), len(d.Tests)
		_, wrong = interpret.Examine(d)
	}
	for _, one := range wrong {
		checked.Wrong = append(checked.Wrong, one.Error())
	}
	r.Interpreters = append(r.Interpreters, checked)
}

func (r *interpretReport) addObject(obj *unstructured.Unstructured, registry *interpret.Registry) {
	result, who := registry.Interpret(obj)
	one := interpreted{
		Object: kube.RefOf(obj).Subject(),
		Health: result.Health.State, Reason: result.Health.Reason, Message: result.Health.Message,
		Replicas: result.Replicas, Drained: result.Drained, Dependencies: result.Dependencies, Version: result.Version,
		Interpreter: who, Rule: result.Rule, Problems: result.Problems,
	}
	if one.Interpreter == "" {
		one.Interpreter = builtIn
	}
	if one.Rule == "" {
		one.Rule = builtIn
	}
	r.Objects = append(r.Objects, one)
}
