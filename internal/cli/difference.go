package cli

import (
	"context"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// difference is what applying would do to one object.
type difference struct {
	Object string       `json:"object"`
	Action apply.Action `json:"action,omitempty"`
	Note   string       `json:"note,omitempty"`
	Diff   string       `json:"diff,omitempty"`
	Error  string       `json:"error,omitempty"` // why it can't be applied, as the end of a sentence
}

// compare has the API server say what would become of each of the objects, and of those in the inventory that would be pruned.
func (a *App) compare(
	ctx context.Context, c *cluster, ks *kustomizev1.Kustomization, objs []*unstructured.Unstructured, as kube.Identity,
) ([]difference, error) {
	config := rest.CopyConfig(c.config)
	config.WarningHandler = rest.NewWarningWriter(a.Err, rest.WarningWriterOptions{Deduplicate: true})
	clients, err := kube.NewClients(config)
	if err != nil {
		return nil, err
	}
	engine := apply.New(clients, nil, apply.Settings{})
	ignore, err := apply.CompileIgnore(ks.Spec.Ignore)
	if err != nil {
		return nil, err
	}
	opts := apply.Options{Owner: apply.Owner{Name: ks.Name, Namespace: ks.Namespace}, Force: ks.Spec.Force, Ignore: ignore, Identity: as}
	plan, err := engine.Plan(ctx, objs, opts)
	found, err := differences(ctx, plan, err)
	if err != nil || !ks.Spec.Prune {
		return found, err
	}
	gone := apply.Diff(apply.Refs(ks.Status.Inventory), append(refsOf(objs), plannedRefs(plan)...))
	doomed, err := engine.PlanPrune(ctx, gone, opts)
	pruned, err := differences(ctx, doomed, err)
	return append(found, pruned...), err
}

// differences words a plan, and after it what of it failed.
func differences(ctx context.Context, plan []apply.PlannedChange, failed error) ([]difference, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if failed != nil && len(apply.Errors(failed)) == 0 {
		return nil, failed
	}
	found := make([]difference, 0, len(plan))
	for _, p := range plan {
		d := difference{Object: p.Ref.Subject(), Action: p.Action, Note: p.Note}
		if p.Action != apply.Skipped {
			d.Diff = unified(p.Before, p.After)
		}
		found = append(found, d)
	}
	for _, e := range apply.Errors(failed) {
		found = append(found, difference{Object: e.Ref.Subject(), Error: e.Message})
	}
	return found, nil
}

func refsOf(objs []*unstructured.Unstructured) []kube.Ref {
	refs := make([]kube.Ref, len(objs))
	for i, obj := range objs {
		refs[i] = kube.RefOf(obj)
	}
	return refs
}

// plannedRefs differ from those of what was built where that has a namespace and its kind has none.
func plannedRefs(plan []apply.PlannedChange) []kube.Ref {
	refs := make([]kube.Ref, len(plan))
	for i, p := range plan {
		refs[i] = p.Ref
	}
	return refs
}

// unified returns the differences between two states of an object, or "".
func unified(before, after string) string {
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines(before), B: lines(after), FromFile: "in the cluster", ToFile: "applied", Context: 3,
	})
	if err != nil { // it writes to memory
		return err.Error()
	}
	return text
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return difflib.SplitLines(strings.TrimSuffix(text, "\n"))
}
