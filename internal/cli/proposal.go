package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/inputs"
)

// What is to become of a Kustomization itself.
const (
	proposalAdded   = "added"
	proposalChanged = "changed"
	proposalDeleted = "deleted"
)

// proposal is what somebody wants to deliver from a source in place of what it has: a branch, or a working copy.
type proposal struct {
	app     *App
	cluster *cluster
	how     diffOptions
	only    types.NamespacedName // "": all that is touched
	source  types.NamespacedName

	before files // what the source has now; its fs is nil where that can't be had
	after  files // what is proposed
	all    map[types.NamespacedName]*kustomizev1.Kustomization

	effective map[types.NamespacedName]*proposed
	builds    map[buildKey]*build.Result
}

type buildKey struct {
	types.NamespacedName

	after bool
}

// proposed is a Kustomization as it is to be.
type proposed struct {
	*kustomizev1.Kustomization

	change string // "": as it is
}

// propose reads what a proposal needs: the source, its Kustomizations, and both trees.
func (a *App) propose(ctx context.Context, c *cluster, name string, how diffOptions) (*proposal, error) {
	p := &proposal{
		app: a, cluster: c, how: how, all: map[types.NamespacedName]*kustomizev1.Kustomization{},
		effective: map[types.NamespacedName]*proposed{}, builds: map[buildKey]*build.Result{},
	}
	if name != "" {
		if _, err := c.get(ctx, kustomizationKind(), c.namespace, name); err != nil {
			return nil, err
		}
		p.only = types.NamespacedName{Namespace: c.namespace, Name: name}
	}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	var repo sourcev1.GitRepository
	if err := c.Get(ctx, p.source, &repo); err != nil {
		return nil, fmt.Errorf("read GitRepository %s: %w", p.source, err)
	}
	if err := p.trees(ctx, &repo); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *proposal) close() {
	for _, f := range []files{p.before, p.after} {
		if f.close != nil {
			f.close()
		}
	}
}

// read finds the source that is meant, and the Kustomizations that use it: in the whole cluster, or what the person may see of it.
func (p *proposal) read(ctx context.Context) error {
	var list kustomizev1.KustomizationList
	if err := p.cluster.List(ctx, &list); err != nil {
		if err := p.cluster.List(ctx, &list, client.InNamespace(p.cluster.namespace)); err != nil {
			return fmt.Errorf("list Kustomizations: %w", err)
		}
		p.app.warnf("you may not see the Kustomizations of other namespaces; they are left out")
	}
	var err error
	if p.source, err = p.sourceOf(list.Items); err != nil {
		return err
	}
	for i := range list.Items {
		ks := &list.Items[i]
		if ks.Spec.SourceRef.Kind == sourcev1.GitRepositoryKind && sourceOfKustomization(ks) == p.source {
			p.all[client.ObjectKeyFromObject(ks)] = ks
		}
	}
	return nil
}

func sourceOfKustomization(ks *kustomizev1.Kustomization) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(ks.Spec.SourceRef.Namespace, ks.Namespace), Name: ks.Spec.SourceRef.Name}
}

// sourceOf is the source of the one Kustomization that is meant, the named one, or the only one of the namespace.
func (p *proposal) sourceOf(all []kustomizev1.Kustomization) (types.NamespacedName, error) {
	if p.how.source != "" {
		_, name, _ := strings.Cut("/"+p.how.source, "/")
		return types.NamespacedName{Namespace: p.cluster.namespace, Name: name[strings.LastIndexByte(name, '/')+1:]}, nil
	}
	var found []types.NamespacedName
	for i := range all {
		ks := &all[i]
		meant := client.ObjectKeyFromObject(ks) == p.only || p.only.Name == "" && ks.Namespace == p.cluster.namespace
		if !meant || slices.Contains(found, sourceOfKustomization(ks)) {
			continue
		}
		if ks.Spec.SourceRef.Kind != sourcev1.GitRepositoryKind {
			if p.only.Name != "" {
				return types.NamespacedName{}, fmt.Errorf("the source of Kustomization %q is a %s, which has no branches; compare a folder with --path DIR",
					ks.Name, ks.Spec.SourceRef.Kind)
			}
			continue
		}
		found = append(found, sourceOfKustomization(ks))
	}
	switch len(found) {
	case 0:
		return types.NamespacedName{}, fmt.Errorf("no Kustomization in namespace %q has a GitRepository as its source; give their namespace with -n",
			p.cluster.namespace)
	case 1:
		return found[0], nil
	default:
		var names []string
		for _, f := range found {
			names = append(names, f.Name)
		}
		return types.NamespacedName{}, usagef("the Kustomizations of namespace %q have several sources; say which one with --source: %s",
			p.cluster.namespace, strings.Join(names, ", "))
	}
}

// trees opens what the source has, and what is proposed in its place.
func (p *proposal) trees(ctx context.Context, repo *sourcev1.GitRepository) error {
	var err error
	if p.how.path != "" {
		if p.after, err = wholeWorkingCopy(p.how.path); err != nil {
			return err
		}
		return p.artifact(ctx, repo)
	}
	dir, err := p.repository(ctx, repo)
	if err != nil {
		return err
	}
	if p.after, err = checkoutBranch(ctx, dir, p.how.branch, repo.Spec.Ignore); err != nil {
		return err
	}
	if commit := commitOf(artifactRevision(repo.Status.Artifact)); commit != "" {
		if p.before, err = checkoutCommit(ctx, dir, commit, repo.Spec.Ignore); err == nil {
			return nil
		}
		p.before = files{}
	}
	return p.artifact(ctx, repo)
}

// artifact fetches what the source has. Without it, nothing can be skipped; that is no reason to fail.
func (p *proposal) artifact(ctx context.Context, repo *sourcev1.GitRepository) error {
	var ks kustomizev1.Kustomization
	ks.Namespace, ks.Spec.SourceRef = repo.Namespace, kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: repo.Name}
	before, err := p.app.filesFor(ctx, p.cluster, &ks, "")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.app.warnf("nothing is skipped, because what the source has now can't be had: %v", err)
		return nil
	}
	p.before = before
	return nil
}

// diff compares each Kustomization that is meant.
func (p *proposal) diff(ctx context.Context) ([]kustomizationDiff, error) {
	var found []kustomizationDiff
	for _, key := range p.keys() {
		is, err := p.of(ctx, key)
		if err != nil {
			return nil, err
		}
		if p.only.Name == "" && is.change == "" && p.untouched(ctx, is.Kustomization) {
			continue
		}
		one, err := p.diffOne(ctx, is)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			one.Error = err.Error()
		}
		found = append(found, one)
	}
	if p.only.Name != "" {
		return found, nil
	}
	for _, added := range p.added() {
		one, err := p.diffOne(ctx, &proposed{added, proposalAdded})
		if err != nil {
			one.Error = err.Error()
		}
		found = append(found, one)
	}
	return found, nil
}

func (p *proposal) keys() []types.NamespacedName {
	if p.only.Name != "" {
		return []types.NamespacedName{p.only}
	}
	keys := make([]types.NamespacedName, 0, len(p.all))
	for key := range p.all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

func (p *proposal) diffOne(ctx context.Context, is *proposed) (kustomizationDiff, error) {
	from := p.after
	from.path = is.Spec.Path
	p.app.progressf("comparing Kustomization %s/%s", is.Namespace, is.Name)
	if is.change != proposalDeleted {
		one, built, err := p.app.diffOne(ctx, p.cluster, is.Kustomization, from, p.how.asMe)
		one.Proposal = is.change
		if built != nil {
			p.builds[buildKey{client.ObjectKeyFromObject(is), true}] = built
		}
		return one, err
	}
	one := kustomizationDiff{Kustomization: is.Namespace + "/" + is.Name, Path: is.Spec.Path, Revision: from.revision, Proposal: is.change}
	as, err := p.cluster.asAccountOf(ctx, is.Kustomization, p.how.asMe)
	if err != nil {
		return one, err
	}
	one.As = as.String()
	one.Objects, err = p.app.compare(ctx, p.cluster, is.Kustomization, nil, as)
	return one, err
}

// untouched reports whether a Kustomization would read nothing else than before.
func (p *proposal) untouched(ctx context.Context, ks *kustomizev1.Kustomization) bool {
	built, err := p.build(ctx, ks, false)
	return err == nil && built.Reads.Same(build.TreeOf(p.after.fs))
}

// build builds a Kustomization once from either tree.
func (p *proposal) build(ctx context.Context, ks *kustomizev1.Kustomization, after bool) (*build.Result, error) {
	key := buildKey{client.ObjectKeyFromObject(ks), after}
	if built := p.builds[key]; built != nil {
		return built, nil
	}
	from := p.before
	if after {
		from = p.after
	}
	if from.fs == nil {
		return nil, errors.New("what the source has now can't be had")
	}
	values, err := inputs.Read(ctx, p.cluster, ks)
	if err != nil {
		return nil, err
	}
	built, err := build.New().Build(ctx, values.For(build.TreeOf(from.fs), ks.Spec.Path, ks.Spec))
	if err != nil {
		return nil, fmt.Errorf("build Kustomization %q: %w", ks.Name, err)
	}
	p.builds[key] = built
	return built, nil
}

// of says what is to become of a Kustomization: another one of the same source may deliver it, and bring it in another form.
func (p *proposal) of(ctx context.Context, key types.NamespacedName) (*proposed, error) {
	if known := p.effective[key]; known != nil {
		return known, nil
	}
	live := p.all[key]
	is := &proposed{Kustomization: live}
	p.effective[key] = is // whoever delivers itself is built as it is
	above, ok := p.all[types.NamespacedName{Namespace: live.Labels[observe.LabelNamespace], Name: live.Labels[observe.LabelName]}]
	if !ok {
		return is, nil
	}
	by, err := p.of(ctx, client.ObjectKeyFromObject(above))
	if err != nil || by.change == proposalDeleted {
		return is, err
	}
	now, err := p.build(ctx, by.Kustomization, true)
	if err != nil {
		return is, nil //nolint:nilerr // it is told of the one that can't be built
	}
	wanted := kustomizationIn(now, key)
	if wanted == nil {
		is.change = proposalDeleted
		return is, nil
	}
	if before, err := p.build(ctx, above, false); err == nil {
		if was := kustomizationIn(before, key); was != nil && reflect.DeepEqual(was.Spec, wanted.Spec) {
			return is, nil
		}
	} else if reflect.DeepEqual(live.Spec, wanted.Spec) {
		return is, nil
	}
	next := live.DeepCopy()
	next.Spec = wanted.Spec
	is.Kustomization, is.change = next, proposalChanged
	return is, nil
}

// kustomizationIn finds a Kustomization among what was built.
func kustomizationIn(built *build.Result, key types.NamespacedName) *kustomizev1.Kustomization {
	for _, ks := range kustomizationsIn(built) {
		if ks.Name == key.Name && (ks.Namespace == key.Namespace || ks.Namespace == "") {
			return ks
		}
	}
	return nil
}

func kustomizationsIn(built *build.Result) []*kustomizev1.Kustomization {
	var found []*kustomizev1.Kustomization
	for _, obj := range built.Objects {
		gk := obj.GroupVersionKind().GroupKind()
		if gk.Group != kustomizev1.GroupVersion.Group || gk.Kind != kustomizev1.KustomizationKind {
			continue
		}
		var ks kustomizev1.Kustomization
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &ks); err == nil {
			found = append(found, &ks)
		}
	}
	return found
}

// added lists the Kustomizations of this source that those that were compared would bring.
func (p *proposal) added() []*kustomizev1.Kustomization {
	var found []*kustomizev1.Kustomization
	seen := map[types.NamespacedName]bool{}
	for key, built := range p.builds {
		if !key.after {
			continue
		}
		for _, ks := range kustomizationsIn(built) {
			name := client.ObjectKeyFromObject(ks)
			if p.all[name] == nil && !seen[name] && ks.Spec.SourceRef.Kind == sourcev1.GitRepositoryKind && sourceOfKustomization(ks) == p.source {
				seen[name] = true
				found = append(found, ks)
			}
		}
	}
	slices.SortFunc(found, func(a, b *kustomizev1.Kustomization) int {
		return strings.Compare(client.ObjectKeyFromObject(a).String(), client.ObjectKeyFromObject(b).String())
	})
	return found
}

// repository is where the source's repository is on this machine: a working copy, or a mirror that is brought up to date.
func (p *proposal) repository(ctx context.Context, repo *sourcev1.GitRepository) (string, error) {
	if p.how.repo != "" {
		return filepath.Abs(p.how.repo)
	}
	secret := client.ObjectKey{Namespace: repo.Namespace}
	if repo.Spec.SecretRef != nil {
		secret.Name = repo.Spec.SecretRef.Name
	}
	mirror, err := p.app.freshMirror(ctx, p.cluster, repo.Spec.URL, secret)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w\nWith --repo DIR the branch is taken from a working copy", withoutUser(repo.Spec.URL), err)
	}
	return mirror.Dir(), nil
}
