package cli

import (
	"fmt"
	"slices"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/delivery"
)

func newExport(app *App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "export KIND NAME",
		Short: "Print sources and Kustomizations as manifests for Git",
		Long: `Print objects as manifests that can be committed: what their authors have written, without status, without what the
API server and the controllers have added, one document each.

KIND is what 'slipway get' takes.`,
		Example: `  slipway export kustomization shop > shop.yaml

  # Everything of a namespace
  slipway export all --all -n team-a > team-a.yaml`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeSelection(app, "all\teverything"),
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of the kind in the namespace")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel, err := selected(args)
		switch {
		case err != nil:
			return err
		case all && sel.name != "":
			return usagef("--all takes the kind alone, without a name")
		case !all && sel.name == "":
			return errNoName(args)
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		found, err := c.collect(cmd.Context(), sel, false)
		if err != nil {
			return err
		}
		objs := found.objects()
		if len(objs) == 0 {
			app.warnf("namespace %q has no %s", c.namespace, sel.words())
		}
		for _, obj := range objs {
			text, err := manifestOf(obj, c.Scheme())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(app.Out, "---\n%s", text); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// manifestOf writes an object as its author would.
func manifestOf(obj client.Object, scheme *runtime.Scheme) ([]byte, error) {
	written, err := authored(obj, scheme)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(written.Object)
	if err != nil {
		return nil, fmt.Errorf("export %s %s: %w", written.GetKind(), obj.GetName(), err)
	}
	return text, nil
}

// authored is what of an object its author has written.
func authored(obj client.Object, scheme *runtime.Scheme) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", obj.GetName(), err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("export %s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	written := &unstructured.Unstructured{Object: map[string]any{"spec": fields["spec"]}}
	written.SetGroupVersionKind(gvk)
	written.SetName(obj.GetName())
	written.SetNamespace(obj.GetNamespace())
	written.SetLabels(without(obj.GetLabels(), observe.LabelName, observe.LabelNamespace))
	written.SetAnnotations(without(obj.GetAnnotations(), meta.ReconcileRequestAnnotation, meta.ForceRequestAnnotation, corev1.LastAppliedConfigAnnotation, delivery.IntentAnnotation))
	return written, nil
}

// without is pairs but for some keys; nil where none is left.
func without(pairs map[string]string, keys ...string) map[string]string {
	var left map[string]string
	for key, value := range pairs {
		if slices.Contains(keys, key) {
			continue
		}
		if left == nil {
			left = map[string]string{}
		}
		left[key] = value
	}
	return left
}
