package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// attempt builds, applies and prunes, and hands over to the judge of health. What fails ends in the status.
func (t *task) attempt(ctx context.Context) (ctrl.Result, error) {
	earlier := t.entry.wait
	t.entry.wait = nil
	if err := t.readInputs(ctx); err != nil {
		return t.fail(ctx, meta.BuildFailedReason, err)
	}
	built, err := t.build(ctx)
	if err != nil {
		return t.fail(ctx, buildReason(err), err)
	}
	rules, err := health.Compile(t.obj.Spec.HealthCheckExprs)
	if err != nil {
		return t.block(ctx, stalledBy(meta.InvalidCELExpressionReason, err.Error()))
	}
	before := t.entry.past
	next := t.remember(built)
	next.rules = rules
	if err := t.intend(ctx, next.refs); err != nil {
		return ctrl.Result{}, err
	}
	changes, result, err := t.applyAndPrune(ctx, built.Objects, t.undone(before, built.Objects), next)
	if err != nil || result != nil {
		return *result, err
	}
	t.announce(changes)
	t.countDrift(ctx, before, changes)
	if err := t.tellDrift(ctx, changes); err != nil {
		return ctrl.Result{}, err
	}
	for _, ref := range t.entry.contest.restored(changes, t.opts.Clock.Now()) {
		t.event(reasonContested, fmt.Sprintf("%s was put back %d times in a row: something else keeps changing it, and it is put back less and less often now. "+
			"Its managedFields name who; leave the field out of the source, or stop the other one", ref.Subject(), contestRounds), true)
	}
	t.countContested(ctx)
	if earlier != nil && (before == nil || !before.like(next)) {
		earlier = nil
	}
	return t.await(ctx, changes, earlier)
}

// reasonContested is the reason of the event that tells of a contest.
const reasonContested = "DriftContested"

// remember notes what this attempt is made of.
func (t *task) remember(built *build.Result) *past {
	now := t.opts.Clock.Now()
	if p := t.entry.past; p != nil {
		t.pending = p.pending
		t.repeated = p.failed && p.generation == t.obj.Generation && p.revision == t.in.artifact.Revision
	}
	t.entry.past = &past{
		generation: t.obj.Generation, modes: t.modes, inputs: t.inputs.Digest, mask: t.inputs.Mask.With(built.Decrypted), revision: t.in.artifact.Revision, artifact: t.in.artifact.Digest,
		reads: built.Reads, digest: digestOf(built.Objects), refs: t.refsOf(built.Objects), ended: now, looked: now, transient: transients(built.Objects),
	}
	t.obj.Status.LastAttemptedRevision = t.in.artifact.Revision
	return t.entry.past
}

// refsOf names objects as the target does: Kustomize puts a namespace also on objects of kinds that it does not know to have none.
func (to *target) refsOf(objs []*unstructured.Unstructured) []kube.Ref {
	refs := make([]kube.Ref, len(objs))
	for i, obj := range objs {
		refs[i] = kube.RefOf(obj)
		if refs[i].Namespace == "" {
			continue
		}
		mapping, err := to.clients.Mapping(refs[i].GroupKind(), refs[i].Version)
		if err == nil && mapping.Scope.Name() == apimeta.RESTScopeNameRoot {
			refs[i].Namespace = ""
		}
	}
	return refs
}

// digestOf identifies what a build rendered, in the form of the status' history.
func digestOf(objs []*unstructured.Unstructured) string {
	h := sha256.New()
	out := json.NewEncoder(h)
	for _, obj := range objs {
		// What came out of YAML can be written as JSON, with its keys in order.
		_ = out.Encode(obj.Object)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// applyAndPrune returns the changes, or how the reconcile ends because they could not all be made.
func (t *task) applyAndPrune(ctx context.Context, built, objs []*unstructured.Unstructured, next *past) ([]apply.Change, *ctrl.Result, error) {
	opts := t.applyOptions()
	if err := t.watch(ctx, next); err != nil {
		return nil, &ctrl.Result{}, err
	}
	result, err := t.apply(ctx, objs, opts)
	if err != nil {
		t.announce(result.Changes)
		if opts.Continue {
			next.refs, next.written = t.refsOf(built), writtenOf(result.Changes)
		}
		end, err := t.unfinished(ctx, next, err)
		return nil, &end, err
	}
	next.refs = t.refsOf(built) // kinds that this very set defines are known now
	if err := t.watch(ctx, next); err != nil {
		return nil, &ctrl.Result{}, err
	}
	next.written = writtenOf(result.Changes)
	stale := apply.Diff(t.owned(), next.refs)
	changes := result.Changes
	t.entry.inventory = apply.Inventory(next.refs)
	if t.obj.Spec.Prune && len(stale) > 0 {
		pruned, err := t.prune(ctx, stale, opts)
		changes = append(changes, pruned...)
		if err != nil {
			t.entry.inventory = apply.Inventory(append(slices.Clone(next.refs), undeleted(stale, pruned)...))
			t.announce(changes)
			end, err := t.fail(ctx, meta.PruneFailedReason, err)
			return nil, &end, err
		}
	}
	return changes, nil, nil
}

// pollPending is how often at first, and maxPollPending how often later, a set is taken up again that waits for the cluster, where no
// watch tells sooner.
const (
	pollPending    = time.Second
	maxPollPending = 30 * time.Second
)

// unfinished ends an attempt whose set could not be applied as a whole: it waits for the cluster to catch up, such as for a CRD to be
// served, or it failed.
func (t *task) unfinished(ctx context.Context, next *past, err error) (ctrl.Result, error) {
	var incomplete *apply.Incomplete
	if !errors.As(err, &incomplete) {
		if err = t.whyForbidden(ctx, err); t.modes.onward && len(apply.Errors(err)) > 0 {
			err = &partial{err: err, total: len(next.refs)}
		}
		return t.fail(ctx, meta.ReconciliationFailedReason, err)
	}
	next.pending = t.started
	if !t.pending.IsZero() {
		next.pending = t.pending
	}
	if timeout := t.obj.GetTimeout(); t.started.Sub(next.pending) >= timeout {
		return t.fail(ctx, meta.ReconciliationFailedReason, fmt.Errorf("timeout after %s %w", timeout, err))
	}
	t.tell()
	t.progressing(err.Error())
	if err := t.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return t.again(), nil
}

// whyForbidden says of an account that may do nothing that it does not exist, where that is so.
func (t *task) whyForbidden(ctx context.Context, err error) error {
	forbidden := func(e *apply.Error) bool { return e.Reason == apply.ReasonForbidden }
	if !slices.ContainsFunc(apply.Errors(err), forbidden) {
		return err
	}
	id := t.identity(t.obj)
	if t.remote != nil {
		return err
	}
	if gone, lookup := t.accountGone(ctx, id); lookup != nil || !gone {
		return err
	}
	return fmt.Errorf("service account %s doesn't exist in namespace %s; create it, and bind it to a role that allows what this Kustomization brings",
		id.ServiceAccount, id.Namespace)
}

// writtenOf are the objects that are kept as they are in the source, not left alone by an annotation of theirs.
func writtenOf(changes []apply.Change) []kube.Ref {
	var refs []kube.Ref
	for _, c := range changes {
		if c.Action != apply.Skipped {
			refs = append(refs, c.Ref)
		}
	}
	return refs
}

// undeleted is what of stale stays in the inventory, so that the next attempt tries again.
func undeleted(stale []kube.Ref, changes []apply.Change) []kube.Ref {
	var left []kube.Ref
	for _, ref := range stale {
		if !slices.ContainsFunc(changes, func(c apply.Change) bool { return c.Ref.Unversioned() == ref.Unversioned() }) {
			left = append(left, ref)
		}
	}
	return left
}

func (t *task) applyOptions() apply.Options {
	return apply.Options{
		Owner:    ownerOf(t.key()),
		Force:    t.obj.Spec.Force,
		Identity: t.identity(t.obj),
		Verify:   t.verify,
		Ignore:   t.entry.ignore,
		Drift:    t.modes.drift,
		Correct:  t.facts.requested,
		Same:     !t.facts.known && t.same(),
		Continue: t.modes.onward,
	}
}

// ownerOf is on whose behalf the objects of the Kustomization key are applied.
func ownerOf(key types.NamespacedName) apply.Owner {
	return apply.Owner{Group: kustomizev1.GroupVersion.Group, Name: key.Name, Namespace: key.Namespace}
}

// mayAct tells whether the agent may act for obj: as a service account, or as itself where that is allowed.
func (r *KustomizationReconciler) mayAct(obj *kustomizev1.Kustomization) bool {
	// Whoever wrote a kubeconfig may do what it allows.
	return obj.Spec.KubeConfig != nil || r.opts.AllowAgentIdentity || r.identity(obj) != kube.Identity{}
}

// identity is as whom obj's objects are written.
func (r *KustomizationReconciler) identity(obj *kustomizev1.Kustomization) kube.Identity {
	account := obj.Spec.ServiceAccountName
	if account == "" {
		account = r.opts.DefaultServiceAccount
	}
	if account == "" {
		return kube.Identity{}
	}
	return kube.Identity{Namespace: obj.Namespace, ServiceAccount: account}
}

// buildReason is the condition reason of a failed build.
func buildReason(err error) string {
	var typed *build.Error
	if errors.As(err, &typed) && typed.Reason != "" {
		return typed.Reason
	}
	return meta.BuildFailedReason
}

// announce tells of what changed in one Event.
func (t *task) announce(changes []apply.Change) {
	var lines []string
	for _, c := range changes {
		switch c.Action {
		case apply.Created, apply.Configured, apply.Deleted, apply.Recreated:
			lines = append(lines, fmt.Sprintf("%s %s", c.Ref.Subject(), c.Action))
		case apply.Unchanged, apply.Skipped, apply.Drifted:
		}
	}
	if len(lines) > 0 {
		t.entry.news = append(t.entry.news, lines...)
	}
}

// tell tells what was changed, where it is not told with the outcome.
func (t *task) tell() {
	if news := t.entry.takeNews(); news != "" {
		t.event(meta.ProgressingReason, news, false)
	}
}
