package cli

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// treeReads bounds how many objects a tree reads at once.
const treeReads = 16

// stateMissing is the state of an object that the inventory names and the cluster doesn't have.
const stateMissing health.State = "Missing"

// node is one object of a tree, with what it brought into the cluster below it.
type node struct {
	Group     string       `json:"group,omitempty"`
	Kind      string       `json:"kind"`
	Namespace string       `json:"namespace,omitempty"`
	Name      string       `json:"name"`
	State     health.State `json:"state"`
	Message   string       `json:"message,omitempty"`
	Children  []*node      `json:"children,omitempty"`
}

func newTree(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "tree",
		Short: "Show what a Kustomization has brought into the cluster",
		Long:  `Show the objects that a Kustomization has applied, as a tree, with the health of each.`,
		Example: `  slipway tree kustomization shop
  slipway tree ks apps -n team-a -o json`,
	}, newTreeKustomization(app))
}

func newTreeKustomization(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "kustomization NAME",
		Aliases: []string{"ks", "kustomizations"},
		Short:   "Show the objects of a Kustomization and their health",
		Long: `Show the objects in the inventory of a Kustomization, as a tree, with the health of each. The objects of a
Kustomization that is itself in the inventory are shown below it.

An object that the inventory names but the cluster doesn't have is Missing.`,
		Example: `  slipway tree kustomization shop
  slipway tree ks apps -n team-a -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeOne(app, kustomizationKind()),
	}
	out := addOutputFlag(cmd, "tree", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := app.connect()
		if err != nil {
			return err
		}
		if _, err := c.get(cmd.Context(), kustomizationKind(), c.namespace, args[0]); err != nil {
			return err
		}
		root, err := c.grow(cmd.Context(), kube.Ref{
			Group: kustomizev1.GroupVersion.Group, Kind: kustomizev1.KustomizationKind, Namespace: c.namespace, Name: args[0],
		})
		if err != nil {
			return err
		}
		return present(app, out, root, app.printTree)
	}
	return cmd
}

// entry is one line of an inventory: an object, in the version in which it was applied.
type entry struct {
	*node
	version string
}

// grow returns the tree below one Kustomization. It reads level by level, each level at once.
func (c *cluster) grow(ctx context.Context, root kube.Ref) (*node, error) {
	var (
		top   = entry{nodeFor(root), kustomizev1.GroupVersion.Version}
		level = []entry{top}
		seen  = map[kube.Ref]bool{root: true} // a Kustomization in its own inventory must not grow forever
	)
	for len(level) > 0 {
		inventories := make([]*kustomizev1.ResourceInventory, len(level))
		reads, ctx := errgroup.WithContext(ctx)
		reads.SetLimit(treeReads)
		for i, e := range level {
			reads.Go(func() (err error) {
				inventories[i], err = c.examine(ctx, e)
				return err
			})
		}
		if err := reads.Wait(); err != nil {
			return nil, err
		}
		next := []entry{}
		for i, inventory := range inventories {
			next = append(next, branch(level[i].node, inventory, seen)...)
		}
		level = next
	}
	return top.node, nil
}

func nodeFor(ref kube.Ref) *node {
	return &node{Group: ref.Group, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
}

// branch hangs the objects of an inventory below parent and returns those that weren't in the tree before.
func branch(parent *node, inventory *kustomizev1.ResourceInventory, seen map[kube.Ref]bool) []entry {
	if inventory == nil {
		return nil
	}
	var grown []entry
	for _, line := range inventory.Entries {
		ref, err := kube.ParseRef(line.ID)
		if err != nil {
			parent.Children = append(parent.Children, &node{Name: line.ID, State: health.Unknown, Message: err.Error()})
			continue
		}
		if seen[ref] {
			continue
		}
		seen[ref] = true
		child := entry{nodeFor(ref), line.Version}
		parent.Children = append(parent.Children, child.node)
		grown = append(grown, child)
	}
	return grown
}

// examine reads the object of e, notes its health there, and returns its inventory if it is a Kustomization. Only an end of ctx
// is an error: what can't be read is said in the tree.
func (c *cluster) examine(ctx context.Context, e entry) (*kustomizev1.ResourceInventory, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: e.Group, Version: e.version, Kind: e.Kind})
	if err := c.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Name}, obj); err != nil {
		e.State, e.Message = health.Unknown, err.Error()
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			e.State, e.Message = stateMissing, "not in the cluster"
		}
		return nil, ctx.Err()
	}
	e.State, e.Message = verdict(obj)
	if e.Group != kustomizev1.GroupVersion.Group || e.Kind != kustomizev1.KustomizationKind {
		return nil, nil
	}
	var ks kustomizev1.Kustomization
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &ks); err != nil {
		return nil, fmt.Errorf("read inventory of %s/%s: %w", e.Namespace, e.Name, err)
	}
	return ks.Status.Inventory, nil
}

func (n *node) label() string {
	return kube.Ref{Group: n.Group, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name}.Subject()
}

// printTree draws the tree with the states in one column.
func (a *App) printTree(root *node) {
	type line struct{ picture, state, message string }
	var (
		lines []line
		width int
		draw  func(n *node, before, below string)
	)
	draw = func(n *node, before, below string) {
		picture := before + n.label()
		width = max(width, utf8.RuneCountInString(picture))
		lines = append(lines, line{picture, a.state(n.State), oneLine(n.Message)})
		for i, child := range n.Children {
			if i == len(n.Children)-1 {
				draw(child, below+"└── ", below+"    ")
			} else {
				draw(child, below+"├── ", below+"│   ")
			}
		}
	}
	draw(root, "", "")
	for _, l := range lines {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(l.picture))
		fmt.Fprintln(a.Out, strings.TrimRight(l.picture+pad+"   "+l.state+"   "+l.message, " "))
	}
}

// state colours a state of health by how much it wants attention.
func (a *App) state(s health.State) string {
	switch s {
	case health.Healthy:
		return a.out.good(string(s))
	case health.Degraded, stateMissing:
		return a.out.bad(string(s))
	default:
		return a.out.warn(string(s))
	}
}
