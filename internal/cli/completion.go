package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// completionPatience is how long the shell waits for names from a cluster; after that it completes nothing.
const completionPatience = 3 * time.Second

// completeArgs completes KIND NAME: first the given words for kinds ("word<TAB>description"), then names from the cluster.
func completeArgs(app *App, words ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			if len(words) == 1 {
				return app.completeNames(cmd.Context(), words[0]), cobra.ShellCompDirectiveNoFileComp
			}
			var fitting []string
			for _, word := range words {
				if strings.HasPrefix(word, toComplete) {
					fitting = append(fitting, word)
				}
			}
			return fitting, cobra.ShellCompDirectiveNoFileComp
		case 1:
			if len(words) > 1 {
				return app.completeNames(cmd.Context(), args[0]), cobra.ShellCompDirectiveNoFileComp
			}
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeNames lists the objects that word means in the current namespace. A shell's completion has nobody to show an error to.
func (a *App) completeNames(ctx context.Context, word string) []string {
	k, err := kindNamed(word)
	if err != nil {
		return nil
	}
	c, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	items, err := k.list(ctx, c, client.InNamespace(c.namespace))
	if err != nil {
		return nil
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = item.GetName()
	}
	return names
}
