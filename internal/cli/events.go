package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventFilter says which events are wanted.
type eventFilter struct {
	namespace string   // "" is every one
	kinds     []string // none is every kind that Slipway reconciles
	name      string
	types     []string
}

func newEvents(app *App) *cobra.Command {
	var (
		about         string
		types         []string
		allNamespaces bool
		follow        bool
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to sources and Kustomizations",
		Long: `Show the events of sources and Kustomizations, the oldest first: what was fetched and applied, what changed,
what failed and why. The cluster forgets events after an hour by default.`,
		Example: `  slipway events -A

  # One object, and go on as more happens
  slipway events --for ks/shop --watch

  # Failures only
  slipway events --types Warning`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&about, "for", "", "only events of this object, as KIND/NAME")
	cmd.Flags().StringSliceVar(&types, "types", nil, "only events of these types: Normal, Warning")
	cmd.Flags().BoolVarP(&allNamespaces, "all-namespaces", "A", false, "events of every namespace")
	cmd.Flags().BoolVarP(&follow, "watch", "w", false, "go on with new events until interrupted")
	completeWords(cmd, "types", corev1.EventTypeNormal, corev1.EventTypeWarning)
	out := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if follow && out.value != formatTable {
			return usagef("--watch prints a table only")
		}
		for _, t := range types {
			if !strings.EqualFold(t, corev1.EventTypeNormal) && !strings.EqualFold(t, corev1.EventTypeWarning) {
				return usagef("unknown type %q: events are %s or %s", t, corev1.EventTypeNormal, corev1.EventTypeWarning)
			}
		}
		filter := eventFilter{types: types}
		if about != "" {
			sel, err := selectedOne([]string{about})
			if err != nil {
				return err
			}
			for _, k := range sel.kinds {
				filter.kinds = append(filter.kinds, k.name)
			}
			filter.name = sel.name
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		if !allNamespaces {
			filter.namespace = c.namespace
		}
		list, err := c.events(cmd.Context(), filter)
		if err != nil {
			return err
		}
		if out.value != formatTable {
			return app.writeObjects(out.value, c.Scheme(), eventObjects(list), false)
		}
		if err := app.printEvents(list.Items, allNamespaces); err != nil || !follow {
			return err
		}
		return app.followEvents(cmd.Context(), c, filter, list.ResourceVersion, allNamespaces)
	}
	return cmd
}

func eventObjects(list *corev1.EventList) []client.Object {
	objs := make([]client.Object, len(list.Items))
	for i := range list.Items {
		objs[i] = &list.Items[i]
	}
	return objs
}

// matches reports whether the event is about an object of ours that is wanted.
func (f eventFilter) matches(e *corev1.Event) bool {
	about := e.InvolvedObject
	group := schema.FromAPIVersionAndKind(about.APIVersion, about.Kind).Group
	ours := slices.ContainsFunc(kinds(), func(k kind) bool { return k.name == about.Kind && k.group == group })
	return ours &&
		(len(f.kinds) == 0 || slices.Contains(f.kinds, about.Kind) && f.name == about.Name) &&
		(len(f.types) == 0 || slices.ContainsFunc(f.types, func(t string) bool { return strings.EqualFold(t, e.Type) }))
}

func (c *cluster) events(ctx context.Context, filter eventFilter) (*corev1.EventList, error) {
	var list corev1.EventList
	if err := c.List(ctx, &list, client.InNamespace(filter.namespace)); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return !filter.matches(&e) })
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return happened(&a).Compare(happened(&b)) })
	return &list, nil
}

// happened returns when an event was seen last. Which field says so depends on who wrote the event.
func happened(e *corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	if !e.EventTime.IsZero() {
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func (a *App) printEvents(events []corev1.Event, withNamespace bool) error {
	if len(events) == 0 {
		fmt.Fprintln(a.Err, "no events; the cluster forgets them after an hour by default")
		return nil
	}
	t := table{header: eventHeader(withNamespace)}
	for i := range events {
		t.add(a.eventRow(&events[i], withNamespace)...)
	}
	return a.printTable(t)
}

func eventHeader(withNamespace bool) []string {
	header := []string{"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"}
	if withNamespace {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func (a *App) eventRow(e *corev1.Event, withNamespace bool) []string {
	kind := cmp.Or(e.Type, corev1.EventTypeNormal)
	if kind == corev1.EventTypeWarning {
		kind = a.out.bad(kind)
	}
	seen := a.age(happened(e))
	if e.Count > 1 {
		seen += fmt.Sprintf(" (x%d)", e.Count)
	}
	row := []string{seen, kind, e.Reason, e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, e.Message}
	if withNamespace {
		row = append([]string{e.Namespace}, row...)
	}
	return row
}

// followEvents prints events as they come, until ctx ends.
func (a *App) followEvents(ctx context.Context, c *cluster, filter eventFilter, since string, withNamespace bool) error {
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, since, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &corev1.EventList{}, &client.ListOptions{Namespace: filter.namespace, Raw: &raw})
		},
	})
	if err != nil {
		return fmt.Errorf("watch events: %w", err)
	}
	defer watcher.Stop()
	for happening := range watcher.ResultChan() {
		e, ok := happening.Object.(*corev1.Event)
		if !ok || happening.Type == watch.Deleted || !filter.matches(e) {
			continue
		}
		row := a.eventRow(e, withNamespace)
		for i := range row {
			row[i] = oneLine(row[i])
		}
		if _, err := fmt.Fprintln(a.Out, strings.Join(row, "   ")); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // interrupted is how one ends it
	}
	return fmt.Errorf("the cluster ended the watch; start it again")
}
