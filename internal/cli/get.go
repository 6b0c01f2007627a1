package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newGet(app *App) *cobra.Command {
	var allNamespaces bool
	cmd := &cobra.Command{
		Use:   "get [sources|kustomizations|all] [NAME]",
		Short: "List what is delivered, and whether it is ready",
		Long: `List GitRepositories, Kustomizations or both: the revision that is there, whether it is ready, and the
controller's own words about it.

The table has the beginning of a message; -o yaml and 'slipway trace' have all of it. -o json and -o yaml print the
whole objects, ready to be applied again.`,
		Example: `  # Everything in the current namespace
  slipway get

  # All Kustomizations of the cluster
  slipway get ks -A

  # One of them, whole
  slipway get kustomization shop -n team-a -o yaml`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeArgs(app, "sources\tGitRepositories", "kustomizations\tKustomizations", "all\tboth"),
	}
	cmd.Flags().BoolVarP(&allNamespaces, "all-namespaces", "A", false, "list those of every namespace")
	out := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted, name, err := kindsToGet(args)
		if err != nil {
			return err
		}
		if name != "" && allNamespaces {
			return usagef("a name and -A contradict each other: names are unique in one namespace only")
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		found, err := c.collect(cmd.Context(), wanted, name, allNamespaces)
		if err != nil {
			return err
		}
		if out.value != formatTable {
			return app.writeObjects(out.value, c.Scheme(), found.objects(), name != "")
		}
		return app.printDelivered(found, c.namespace, allNamespaces)
	}
	return cmd
}

func kindsToGet(args []string) ([]kind, string, error) {
	if len(args) == 0 || args[0] == "all" {
		if len(args) == 2 {
			return nil, "", usagef("'all' takes no name: say which kind %q is", args[1])
		}
		return kinds(), "", nil
	}
	if len(args) == 2 || strings.Contains(args[0], "/") {
		k, name, err := kindAndName(args)
		return []kind{k}, name, err
	}
	k, err := kindNamed(args[0])
	return []kind{k}, "", err
}

// listing is what a get found, kind by kind.
type listing []struct {
	kind
	items []delivered
}

func (l listing) objects() []client.Object {
	var objs []client.Object
	for _, part := range l {
		for _, item := range part.items {
			objs = append(objs, item)
		}
	}
	return objs
}

func (c *cluster) collect(ctx context.Context, wanted []kind, name string, allNamespaces bool) (listing, error) {
	var found listing
	for _, k := range wanted {
		if name != "" {
			obj, err := c.get(ctx, k, c.namespace, name)
			if err != nil {
				return nil, err
			}
			found = append(found, listing{{k, []delivered{obj}}}...)
			continue
		}
		where := client.InNamespace(c.namespace)
		if allNamespaces {
			where = client.InNamespace(metav1.NamespaceAll)
		}
		items, err := k.list(ctx, c, where)
		if err != nil {
			return nil, err
		}
		found = append(found, listing{{k, items}}...)
	}
	return found, nil
}

func (a *App) printDelivered(found listing, namespace string, allNamespaces bool) error {
	t := table{header: []string{"NAME", "REVISION", "SUSPENDED", "READY", "AGE", "MESSAGE"}}
	if allNamespaces {
		t.header = append([]string{"NAMESPACE"}, t.header...)
	}
	for _, part := range found {
		for _, obj := range part.items {
			row := a.deliveredRow(part.kind, obj)
			if len(found) > 1 {
				row[0] = part.words[0] + "/" + row[0]
			}
			if allNamespaces {
				row = append([]string{obj.GetNamespace()}, row...)
			}
			t.add(row...)
		}
	}
	if len(t.rows) == 0 {
		where := fmt.Sprintf("in namespace %q (use -A for all)", namespace)
		if allNamespaces {
			where = "in this cluster"
		}
		fmt.Fprintf(a.Err, "nothing is delivered %s\n", where)
		return nil
	}
	return a.printTable(t)
}

func (a *App) deliveredRow(k kind, obj delivered) []string {
	suspended := "False"
	if *k.suspended(obj) {
		suspended = a.out.warn("True")
	}
	ready, message := a.readiness(obj)
	return []string{
		obj.GetName(), orDash(shortRevision(k.revision(obj))), suspended, ready,
		a.age(obj.GetCreationTimestamp().Time), gist(message),
	}
}

// readiness returns the status of the Ready condition, coloured, and its message.
func (a *App) readiness(obj delivered) (status, message string) {
	ready := apimeta.FindStatusCondition(obj.GetConditions(), meta.ReadyCondition)
	if ready == nil {
		return a.out.warn("Unknown"), "not reconciled yet"
	}
	switch ready.Status {
	case metav1.ConditionTrue:
		status = a.out.good(string(ready.Status))
	case metav1.ConditionFalse:
		status = a.out.bad(string(ready.Status))
	default:
		status = a.out.warn(string(ready.Status))
	}
	return status, ready.Message
}

// shortRevision cuts the commit in a revision to eight digits: "main@sha1:0123abcd".
func shortRevision(revision string) string {
	const digits = 8
	at := strings.LastIndex(revision, ":")
	if at < 0 || len(revision)-at-1 <= digits {
		return revision
	}
	return revision[:at+1+digits]
}
