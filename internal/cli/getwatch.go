package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// changed is an object of a kind that was seen anew.
type changed struct {
	kind kind
	obj  delivered
	gone bool
}

// watchDelivered prints a line for each change to what is selected, until ctx ends.
func (a *App) watchDelivered(ctx context.Context, c *cluster, found listing, sel selection, how getOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := make(chan changed)
	ended := make(chan struct{})
	watching := 0
	defer func() {
		cancel()
		for range watching {
			<-ended
		}
	}()
	for _, part := range found {
		watcher, err := c.watchKind(ctx, part, sel.name, how.allNamespaces)
		if err != nil {
			return err
		}
		watching++
		go func() {
			defer func() { watcher.Stop(); ended <- struct{}{} }()
			relay(ctx, part.kind, watcher, changes)
		}()
	}
	last := map[string]string{}
	for watching > 0 {
		select {
		case <-ctx.Done():
			return nil // interrupted is how one ends it
		case <-ended:
			watching--
		case change := <-changes:
			if err := a.printChange(change, len(found) > 1, how, last); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("the cluster ended the watch; start it again")
}

// watchKind watches from where the listing was read; the watch is taken up again when it breaks.
func (c *cluster) watchKind(ctx context.Context, from kindListing, name string, allNamespaces bool) (watch.Interface, error) {
	options := client.ListOptions{Namespace: c.namespace}
	if allNamespaces {
		options.Namespace = metav1.NamespaceAll
	}
	since := from.version
	if name != "" {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name)
		since = from.items[0].GetResourceVersion()
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, since, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			now := options
			now.Raw = &raw
			return c.Watch(ctx, from.newList(), &now)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", from.words[1], err)
	}
	return watcher, nil
}

func relay(ctx context.Context, k kind, watcher watch.Interface, to chan<- changed) {
	for event := range watcher.ResultChan() {
		obj, ok := event.Object.(delivered)
		if !ok {
			continue
		}
		select {
		case to <- changed{k, obj, event.Type == watch.Deleted}:
		case <-ctx.Done():
			return
		}
	}
}

// printChange prints what is new about an object. last has what was printed of each: a change that nobody sees isn't one.
func (a *App) printChange(change changed, withKind bool, how getOptions, last map[string]string) error {
	if !how.status.matches(change.obj) {
		return nil
	}
	row := a.deliveredRow(change.kind, change.obj, withKind, how)
	if change.gone {
		row = append(row, a.out.bad("(deleted)"))
	}
	seen := make([]string, 0, len(row))
	for i := range row {
		row[i] = oneLine(row[i])
		if i != len(deliveredHeader(how))-2 { // the age changes by itself
			seen = append(seen, row[i])
		}
	}
	id := change.kind.name + "/" + change.obj.GetNamespace() + "/" + change.obj.GetName()
	if now := strings.Join(seen, "\x00"); last[id] != now {
		last[id] = now
		_, err := fmt.Fprintln(a.Out, strings.Join(row, "   "))
		return err
	}
	return nil
}
