package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// completionPatience is how long the shell waits for names from a cluster; after that it completes nothing.
const completionPatience = 3 * time.Second

// completeSelection completes the arguments of a verb that takes a selection: words for kinds, then names from the cluster.
// "extra" are words beside those of the kinds, each as "word<TAB>description".
func completeSelection(app *App, extra ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		if word, prefix, ok := strings.Cut(toComplete, "/"); ok && len(args) == 0 {
			var names []string
			for _, name := range app.completeNames(cmd.Context(), word) {
				names = append(names, word+"/"+name)
			}
			return fitting(names, word+"/"+prefix), nothingElse
		}
		if len(args) == 0 {
			words := append([]string{"source\ta source of any kind", "sources\tall kinds of source"}, extra...)
			for _, k := range kinds() {
				words = append(words, k.words[0]+"\ta "+k.name)
			}
			return fitting(words, toComplete), nothingElse
		}
		sel, err := selected(args)
		if err != nil || sel.name != "" && len(args) > 1 {
			return nil, nothingElse
		}
		var offers []string
		if len(args) == 1 && strings.HasPrefix(args[0], "source") {
			for _, k := range sourceKinds() {
				offers = append(offers, k.sourceAs+"\ta "+k.name)
			}
		}
		return fitting(append(offers, app.namesOf(cmd.Context(), sel.kinds)...), toComplete), nothingElse
	}
}

// completeAnyObject completes KIND/NAME for any kind of object: the common ones, then names from the cluster.
func completeAnyObject(app *App) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 0 {
			return nil, nothingElse
		}
		word, _, ok := strings.Cut(toComplete, "/")
		if !ok {
			return fitting([]string{
				"deployment/", "statefulset/", "daemonset/", "service/", "configmap/", "secret/", "pod/", "job/", "cronjob/", "ingress/",
				"kustomization/",
			}, toComplete), nothingElse | cobra.ShellCompDirectiveNoSpace
		}
		var names []string
		for _, name := range app.anyNames(cmd.Context(), word) {
			names = append(names, word+"/"+name)
		}
		return fitting(names, toComplete), nothingElse
	}
}

// anyNames lists the objects of any kind in the current namespace.
func (a *App) anyNames(ctx context.Context, word string) []string {
	c, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	mapping, err := c.resolve(word)
	if err != nil {
		return nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind)
	if err := c.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names
}

// completeOne completes the name of an object of one kind.
func completeOne(app *App, k kind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return fitting(app.namesOf(cmd.Context(), []kind{k}), toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

func fitting(words []string, prefix string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, prefix) })
}

// completeNames lists the objects that word means in the current namespace.
func (a *App) completeNames(ctx context.Context, word string) []string {
	sel, err := selected([]string{word})
	if err != nil {
		return nil
	}
	return a.namesOf(ctx, sel.kinds)
}

// namesOf lists the objects of some kinds in the current namespace. A shell's completion has nobody to show an error to.
func (a *App) namesOf(ctx context.Context, wanted []kind) []string {
	c, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	var names []string
	for _, k := range wanted {
		items, err := k.list(ctx, c, client.InNamespace(c.namespace))
		if err != nil {
			continue
		}
		for _, item := range items {
			names = append(names, item.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// completeNamespaces lists the cluster's namespaces.
func (a *App) completeNamespaces(ctx context.Context) []string {
	c, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	var list corev1.NamespaceList
	if err := c.List(ctx, &list); err != nil {
		return nil
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names
}

// completeContexts lists those of the kubeconfig.
func (a *App) completeContexts() []string {
	loader, err := a.clientConfig()
	if err != nil {
		return nil
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(raw.Contexts))
}

// completeClusterFlags completes the flags that every verb has.
func (a *App) completeClusterFlags(root *cobra.Command) {
	for flag, words := range map[string]func(context.Context) []string{
		"namespace": a.completeNamespaces,
		"context":   func(context.Context) []string { return a.completeContexts() },
		"lab":       func(context.Context) []string { return labNames() },
	} {
		complete := func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return fitting(words(cmd.Context()), toComplete), cobra.ShellCompDirectiveNoFileComp
		}
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flags are defined by the caller
		}
	}
}
