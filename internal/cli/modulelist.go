package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModuleList(app *App) *cobra.Command {
	var selector string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the modules of the cluster, and how they are",
		Long: `List the modules: the version that is installed, the one that is wanted where it is another, the phase, and the agent's own
words about it. -o wide has all of them, and where each comes from; -o json and -o yaml print the whole objects.`,
		Example: `  slipway module list

  # Those that somebody has to look after
  slipway module list --status-selector ready=false -o wide`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&selector, "status-selector", "", "only those with a condition of this status, such as ready=false")
	completeWords(cmd, "status-selector", "ready=true", "ready=false", "ready=unknown")
	out := addOutputFlag(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		status, err := parseStatusSelector(selector)
		if err != nil {
			return err
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		var all v1alpha1.ModuleList
		if err := c.List(cmd.Context(), &all); err != nil {
			return fmt.Errorf("list modules: %w", err)
		}
		var chosen []client.Object
		for i := range all.Items {
			if status.matches(&all.Items[i]) {
				chosen = append(chosen, &all.Items[i])
			}
		}
		if out.value == formatJSON || out.value == formatYAML {
			return app.writeObjects(out.value, c.Scheme(), chosen, false)
		}
		return app.printModules(chosen, out.value == formatWide)
	}
	return cmd
}

func (a *App) printModules(modules []client.Object, wide bool) error {
	if len(modules) == 0 {
		fmt.Fprintln(a.Err, "no modules are in this cluster")
		return nil
	}
	t := table{header: []string{"NAME", "VERSION", "TARGET", "PHASE", "READY", "AGE", "MESSAGE"}}
	if wide {
		t.header = append(t.header[:6:6], "SOURCE", "WANTED", "UPGRADES", "MESSAGE")
	}
	for _, obj := range modules {
		m := obj.(*v1alpha1.Module)
		row := []string{m.Name, versionOf(m.Status.Current), targetOf(m), a.phaseInColour(m), a.moduleReady(m), a.age(m.CreationTimestamp.Time)}
		if wide {
			row = append(row, sourceWords(m.Spec.Source), wantedWords(m.Spec), upgradeWords(m.Spec), readyWords(m))
		} else {
			row = append(row, gist(readyWords(m)))
		}
		t.add(row...)
	}
	return a.printTable(t)
}

// targetOf is the version that something leads to, where it isn't the installed one.
func targetOf(m *v1alpha1.Module) string {
	target := m.Status.Target
	if m.Status.Attempt != nil {
		target = &m.Status.Attempt.Target
	}
	if current := m.Status.Current; target == nil || current != nil && current.Digest == target.Digest {
		return "-"
	}
	return versionOf(target)
}

func (a *App) moduleReady(m *v1alpha1.Module) string {
	ready := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case ready == nil:
		return a.out.warn(string(metav1.ConditionUnknown))
	case ready.Status == metav1.ConditionTrue:
		return a.out.good(string(ready.Status))
	}
	return a.out.bad(string(ready.Status))
}
