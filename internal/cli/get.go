package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newGet(app *App) *cobra.Command {
	var how getOptions
	var selector string
	cmd := &cobra.Command{
		Use:   "get [KIND|sources|all] [NAME]",
		Short: "List what is delivered, and whether it is ready",
		Long: `List sources, Kustomizations or all of them: the revision that is there, whether it is ready, and the controller's
own words about it.

KIND is kustomization (ks), gitrepository (gitrepo, git), ocirepository (ocirepo, oci), bucket, externalartifact
(external) or receiver, whose revision is the path of its webhook; "sources" means every kind of source, and "source git" is a GitRepository, as with the flux CLI.

The table has the beginning of a message and of a commit; -o wide has all of both. -o json and -o yaml print the whole
objects, ready to be applied again.`,
		Example: `  # Everything in the current namespace
  slipway get

  # All Kustomizations of the cluster
  slipway get ks -A

  # What isn't ready, with all of what the controller says
  slipway get all -A --status-selector ready=false -o wide

  # Sources of one type, and go on as they change
  slipway get sources oci --watch

  # One of them, whole
  slipway get kustomization shop -n team-a -o yaml`,
		Args:              cobra.MaximumNArgs(3),
		ValidArgsFunction: completeSelection(app, "all\teverything"),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&how.allNamespaces, "all-namespaces", "A", false, "list those of every namespace")
	flags.BoolVarP(&how.watch, "watch", "w", false, "go on with what changes until interrupted")
	flags.StringVar(&selector, "status-selector", "", "only those with a condition of this status, such as ready=false")
	completeWords(cmd, "status-selector", "ready=true", "ready=false", "ready=unknown")
	out := addOutputFlag(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel, err := selected(args)
		if err != nil {
			return err
		}
		if sel.name != "" && how.allNamespaces {
			return usagef("a name and -A contradict each other: names are unique in one namespace only")
		}
		how.wide = out.value == formatWide
		forPeople := how.wide || out.value == formatTable
		if how.watch && !forPeople {
			return usagef("--watch prints a table only")
		}
		if how.status, err = parseStatusSelector(selector); err != nil {
			return err
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		found, err := c.collect(cmd.Context(), sel, how.allNamespaces)
		if err != nil {
			return err
		}
		shown := found.only(how.status)
		if !forPeople {
			return app.writeObjects(out.value, c.Scheme(), shown.objects(), sel.name != "")
		}
		if err := app.printDelivered(shown, c.namespace, how); err != nil || !how.watch {
			return err
		}
		return app.watchDelivered(cmd.Context(), c, found, sel, how)
	}
	return cmd
}

// getOptions are how a get lists.
type getOptions struct {
	allNamespaces bool
	watch         bool
	wide          bool
	status        statusSelector
}

// statusSelector chooses objects by the status of a condition. The zero value takes all.
type statusSelector struct{ condition, status string }

func parseStatusSelector(text string) (statusSelector, error) {
	if text == "" {
		return statusSelector{}, nil
	}
	condition, status, ok := strings.Cut(text, "=")
	known := slices.ContainsFunc([]string{"True", "False", "Unknown"}, func(s string) bool { return strings.EqualFold(s, status) })
	if !ok || condition == "" || !known {
		return statusSelector{}, usagef("want --status-selector CONDITION=true|false|unknown, got %q", text)
	}
	return statusSelector{condition, status}, nil
}

// matches takes a missing condition for Unknown.
func (s statusSelector) matches(obj delivered) bool {
	if s.condition == "" {
		return true
	}
	for _, c := range obj.GetConditions() {
		if strings.EqualFold(c.Type, s.condition) {
			return strings.EqualFold(string(c.Status), s.status)
		}
	}
	return strings.EqualFold(s.status, string(metav1.ConditionUnknown))
}

// listing is what a get found, kind by kind.
type listing []kindListing

type kindListing struct {
	kind
	items   []delivered
	version string // the state of the cluster that this is; "" where one object was asked for
}

func (l listing) only(status statusSelector) listing {
	chosen := make(listing, len(l))
	for i, part := range l {
		part.items = slices.DeleteFunc(slices.Clone(part.items), func(o delivered) bool { return !status.matches(o) })
		chosen[i] = part
	}
	return chosen
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

// collect reads what is selected. Kinds that the cluster doesn't have are left out, unless the only one is meant.
func (c *cluster) collect(ctx context.Context, sel selection, allNamespaces bool) (listing, error) {
	if sel.name != "" {
		k, obj, err := c.find(ctx, sel)
		if err != nil {
			return nil, err
		}
		return listing{{kind: k, items: []delivered{obj}}}, nil
	}
	where := client.InNamespace(c.namespace)
	if allNamespaces {
		where = client.InNamespace(metav1.NamespaceAll)
	}
	var (
		found   listing
		missing error
	)
	for _, k := range sel.kinds {
		items, version, err := k.listAt(ctx, c, where)
		if apimeta.IsNoMatchError(err) {
			missing = err
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, kindListing{k, items, version})
	}
	if len(found) == 0 {
		return nil, missing
	}
	return found, nil
}

func (a *App) printDelivered(found listing, namespace string, how getOptions) error {
	t := table{header: deliveredHeader(how)}
	for _, part := range found {
		for _, obj := range part.items {
			t.add(a.deliveredRow(part.kind, obj, len(found) > 1, how)...)
		}
	}
	if len(t.rows) == 0 {
		where := fmt.Sprintf("in namespace %q (use -A for all)", namespace)
		if how.allNamespaces {
			where = "in this cluster"
		}
		what := "is delivered"
		if how.status.condition != "" {
			what = fmt.Sprintf("has %s=%s", how.status.condition, how.status.status)
		}
		fmt.Fprintf(a.Err, "nothing %s %s\n", what, where)
		return nil
	}
	return a.printTable(t)
}

func deliveredHeader(how getOptions) []string {
	header := []string{"NAME", "REVISION", "SUSPENDED", "READY", "AGE", "MESSAGE"}
	if how.allNamespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func (a *App) deliveredRow(k kind, obj delivered, withKind bool, how getOptions) []string {
	suspended := "False"
	if k.isSuspended(obj) {
		suspended = a.out.warn("True")
	}
	name, revision := obj.GetName(), k.revision(obj)
	if withKind {
		name = k.words[0] + "/" + name
	}
	ready, message := a.readiness(obj)
	if !how.wide {
		revision, message = shortRevision(revision), gist(message)
	}
	row := []string{name, orDash(revision), suspended, ready, a.age(obj.GetCreationTimestamp().Time), message}
	if how.allNamespaces {
		row = append([]string{obj.GetNamespace()}, row...)
	}
	return row
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
