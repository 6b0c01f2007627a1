package observe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

// Ensure makes the pool watch what an owner applies as an identity: the kinds of refs, by owner label. It replaces what the owner
// wanted before; with no refs the owner lets go of everything. It returns once what can be watched is, with those refs that can't:
// their kind isn't served, nobody may watch it, or the API server doesn't answer. What only another owner's watch shows counts as not
// watched: that watch may end at any time. An error means that the context ended.
//
// A kind is watched in all namespaces as the agent itself, or, where that is forbidden, in the namespaces of refs as the identity.
func (p *Pool) Ensure(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error) {
	h := holder{owner: owner, what: applied}
	wide, byNamespace := map[key]*meta.RESTMapping{}, map[key]*meta.RESTMapping{}
	for gvk, m := range p.mappings(refs) {
		if !p.refused(gvk) {
			wide[key{place: place{gvk: gvk}}] = m
		}
	}
	problems := p.start(ctx, h, wide)
	for k, problem := range problems {
		if apierrors.IsForbidden(problem) {
			p.refuse(k.gvk)
			delete(wide, k)
		}
	}
	mappings := p.mappings(refs)
	for _, ref := range refs {
		gvk := ref.GroupVersionKind()
		if m := mappings[gvk]; m != nil && p.refused(gvk) {
			namespace := ref.Namespace
			if m.Scope.Name() == meta.RESTScopeNameRoot {
				namespace = ""
			}
			byNamespace[key{place: place{gvk: gvk, namespace: namespace}, id: id}] = m
		}
	}
	p.start(ctx, h, byNamespace)
	maps.Copy(wide, byNamespace)
	p.keep(h, wide)
	return p.blind(h, refs), ctxErr(ctx, owner)
}

// EnsureNamed makes the pool watch single objects whoever they belong to, as an identity. It replaces the single objects that the
// owner wanted watched before, and is otherwise like Ensure. GetNamed tells what they see.
func (p *Pool) EnsureNamed(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error) {
	return p.single(ctx, holder{owner: owner, what: named}, id, refs)
}

// EnsureInputs makes the pool watch the metadata of single objects that the owner reads, as an identity, and tell of every change of
// them. It replaces the objects that the owner read before, and is otherwise like Ensure.
func (p *Pool) EnsureInputs(ctx context.Context, owner string, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error) {
	return p.single(ctx, holder{owner: owner, what: inputs}, id, refs)
}

func (p *Pool) single(ctx context.Context, h holder, id kube.Identity, refs []kube.Ref) (unwatched []kube.Ref, err error) {
	want := map[key]*meta.RESTMapping{}
	mappings := p.mappings(refs)
	for _, ref := range refs {
		if m := mappings[ref.GroupVersionKind()]; m != nil && ref.Name != "" {
			want[keyOf(h, id, ref)] = m
		}
	}
	p.start(ctx, h, want)
	p.keep(h, want)
	for _, ref := range refs {
		if !p.live(keyOf(h, id, ref)) {
			unwatched = append(unwatched, ref)
		}
	}
	return unwatched, ctxErr(ctx, h.owner)
}

func keyOf(h holder, id kube.Identity, ref kube.Ref) key {
	return key{place: place{gvk: ref.GroupVersionKind(), namespace: ref.Namespace, name: ref.Name}, id: id, every: h.what == inputs}
}

// live tells whether a watcher is there and watches right now.
func (p *Pool) live(k key) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	w := p.watchers[k]
	return w != nil && w.live()
}

func ctxErr(ctx context.Context, owner string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("watch the objects of %s: %w", owner, err)
	}
	return nil
}

// mappings returns how the kinds of refs are served; kinds that aren't are missing.
func (p *Pool) mappings(refs []kube.Ref) map[schema.GroupVersionKind]*meta.RESTMapping {
	out := map[schema.GroupVersionKind]*meta.RESTMapping{}
	for _, ref := range refs {
		gvk := ref.GroupVersionKind()
		if _, ok := out[gvk]; ok {
			continue
		}
		out[gvk] = nil
		if m, err := p.clients.Mapping(gvk.GroupKind(), gvk.Version); err == nil {
			out[gvk] = m
		}
	}
	maps.DeleteFunc(out, func(_ schema.GroupVersionKind, m *meta.RESTMapping) bool { return m == nil })
	return out
}

// blind returns those of refs that none of a holder's own watches looks at.
func (p *Pool) blind(h holder, refs []kube.Ref) []kube.Ref {
	p.mu.RLock()
	defer p.mu.RUnlock()
	live := map[place]struct{}{}
	for k := range p.holders[h] {
		if p.watchers[k].live() {
			live[k.place] = struct{}{}
		}
	}
	var out []kube.Ref
	for _, ref := range refs {
		everywhere := place{gvk: ref.GroupVersionKind()}
		there := everywhere
		there.namespace = ref.Namespace
		_, wide := live[everywhere]
		_, narrow := live[there]
		if !wide && !narrow {
			out = append(out, ref)
		}
	}
	return out
}

// refused tells whether watching a kind in all namespaces was refused not long ago.
func (p *Pool) refused(gvk schema.GroupVersionKind) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	at, ok := p.narrow[gvk]
	return ok && time.Since(at) < wideAgain
}

func (p *Pool) refuse(gvk schema.GroupVersionKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.narrow[gvk] = time.Now()
}

// start makes a holder hold the watchers of keys, starts those that don't run, and waits for all. It returns what is wrong with which.
func (p *Pool) start(ctx context.Context, h holder, keys map[key]*meta.RESTMapping) map[key]error {
	ctx, cancel := context.WithTimeout(ctx, p.opts.SyncTimeout)
	defer cancel()
	problems := map[key]error{}
	running := make(map[key]*watcher, len(keys))
	for k, m := range keys {
		w, err := p.hold(h, k, m)
		if err != nil {
			problems[k] = err
			continue
		}
		running[k] = w
	}
	for k, w := range running {
		if err := w.await(ctx); err != nil {
			problems[k] = err
		}
	}
	return problems
}

// hold returns the watcher of a key, started if need be, and counts the holder in.
func (p *Pool) hold(h holder, k key, m *meta.RESTMapping) (*watcher, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.watchers[k]
	if w == nil {
		from, err := p.listerFor(k, m)
		if err != nil {
			return nil, err
		}
		w = p.launch(k, from)
	}
	if p.holders[h] == nil {
		p.holders[h] = map[key]struct{}{}
	}
	if _, ok := p.holders[h][k]; !ok {
		p.holders[h][k] = struct{}{}
		p.held[k]++
	}
	return w, nil
}

// launch needs p.mu held.
func (p *Pool) launch(k key, from lister) *watcher {
	w := newWatcher(k, from, p.opts)
	w.emit, w.kept.allowance = p.emit, p.opts.Allowance
	ctx, cancel := context.WithCancel(p.ctx)
	w.stop = cancel
	p.watchers[k] = w
	p.at[k.place] = append(slices.Clone(p.at[k.place]), w)
	gk := k.gvk.GroupKind()
	if !slices.Contains(p.versions[gk], k.gvk.Version) {
		p.versions[gk] = append(slices.Clone(p.versions[gk]), k.gvk.Version)
	}
	p.wg.Go(func() { w.run(ctx) })
	return w
}

// judgeAnew has the watchers of kinds read their places anew, whole or without bodies as is needed now. What changes is told as ever; until
// it is read, what was known stays known.
func (p *Pool) judgeAnew(ofKind func(schema.GroupVersionKind) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, w := range p.watchers {
		if !ofKind(k.gvk) {
			continue
		}
		m, err := p.clients.Mapping(k.gvk.GroupKind(), k.gvk.Version)
		if err != nil {
			continue // the kind isn't served: there is nothing to judge
		}
		if from, err := p.listerFor(k, m); err == nil {
			w.anew(from)
		}
	}
}

// keep makes a holder let go of all watchers but those of keys, and stops those that nobody holds any more.
func (p *Pool) keep(h holder, keys map[key]*meta.RESTMapping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.holders[h] {
		if _, ok := keys[k]; ok {
			continue
		}
		delete(p.holders[h], k)
		if p.held[k]--; p.held[k] == 0 {
			p.retire(k)
		}
	}
	if len(p.holders[h]) == 0 {
		delete(p.holders, h)
	}
}

// retire needs p.mu held.
func (p *Pool) retire(k key) {
	w := p.watchers[k]
	w.stop()
	delete(p.watchers, k)
	delete(p.held, k)
	p.at[k.place] = slices.DeleteFunc(slices.Clone(p.at[k.place]), func(o *watcher) bool { return o == w })
	if len(p.at[k.place]) == 0 {
		delete(p.at, k.place)
	}
}
