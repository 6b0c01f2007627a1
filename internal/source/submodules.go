package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// moduleRecord says which commit of which repository a snapshot has taken in. Who asks for the snapshot must be able to see it.
type moduleRecord struct {
	URL    string `json:"url"`
	Commit string `json:"commit"`
	// Mirror names what is kept on disk of the submodule.
	Mirror string `json:"mirror"`
}

// modules are the submodules of one commit, in their mirrors.
type modules struct {
	store   *Store
	records []moduleRecord
	byPath  map[string]*mirror
	users   []*mirror // one entry for each use, to be released
	touched map[*mirror]int
}

// submodules brings all submodules of the target's commit, those in submodules as well. What is returned must be released. It is nil
// when the request doesn't ask for submodules.
func (f *fetch) submodules(ctx context.Context, m *mirror, gitDir string, t target) (_ *modules, err error) {
	if !f.recurse {
		return nil, nil
	}
	all := &modules{store: f.store, byPath: map[string]*mirror{}, touched: map[*mirror]int{}}
	defer func() {
		if err != nil {
			all.release()
		}
	}()
	inside, err := f.modulesOf(m, gitDir, t.want)
	if err != nil {
		return nil, err
	}
	return all, f.descend(ctx, all, f.rem, nil, inside, 1)
}

// gitlink is a submodule in a tree: what .gitmodules says, and which commit is wanted.
type gitlink struct {
	module
	commit plumbing.Hash
}

func (f *fetch) descend(ctx context.Context, all *modules, super *remote, at []string, links []gitlink, depth int) error {
	for _, link := range links {
		where := append(slices.Clone(at), strings.Split(link.path, "/")...)
		if !f.sparse.fresh().leadsTo(where) {
			continue
		}
		name := strings.Join(where, "/")
		if depth > maxModuleDepth {
			return &LimitError{Limit: "depth of submodules", Value: maxModuleDepth, Got: int64(depth), What: "the submodule " + shorten(name), Advice: "use spec.include, or vendor the files"}
		}
		if len(all.byPath) >= maxModules {
			return &LimitError{Limit: "submodules", Value: maxModules, What: "the number of submodules", Advice: "take some in with spec.sparseCheckout only, or vendor the files"}
		}
		rem, err := moduleRemote(link.url, super)
		if err != nil {
			return failf(ReasonGitOperationFailed, "submodule %s of %s: %w; correct .gitmodules", shorten(name), super, err)
		}
		inside, err := f.module(ctx, all, name, rem, link.commit)
		if err != nil {
			return f.moduleError(err, name, rem)
		}
		if err := f.descend(ctx, all, rem, where, inside, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// module brings one submodule and returns those in it.
func (f *fetch) module(ctx context.Context, all *modules, name string, rem *remote, commit plumbing.Hash) ([]gitlink, error) {
	sub := f.forModule(rem, commit)
	m := f.store.mirror(sub.mirrorKey())
	all.users = append(all.users, m)
	if _, known := all.touched[m]; !known {
		all.touched[m] = m.current()
	}
	all.byPath[name] = m
	all.records = append(all.records, moduleRecord{URL: rem.String(), Commit: commit.String(), Mirror: sub.mirrorKey()})
	if err := sub.show(ctx, m); err != nil {
		all.reset(err, m)
		return nil, err
	}
	links, err := sub.modulesOf(m, m.dir, commit)
	all.reset(err, m)
	return links, err
}

// forModule is a fetch of one commit with the credentials that its server may be shown: those of the repository go to the same server only.
func (f *fetch) forModule(rem *remote, commit plumbing.Hash) *fetch {
	sub := *f
	sub.rem, sub.sel = rem, selector{commit: commit}
	if !sameServer(f.rem, rem) {
		sub.auth = Auth{}
	}
	return &sub
}

// show brings the commit that the selector names unless it is here and was shown to these credentials before: a commit never changes.
func (f *fetch) show(ctx context.Context, m *mirror) error {
	t := target{want: f.sel.commit, commit: f.sel.commit, pinned: true}
	if f.proven(f.proof(t)) && f.isHere(m, t.want) {
		return nil
	}
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	adv, err := s.advertised(ctx)
	if err != nil {
		return err
	}
	if err := f.bring(ctx, s, adv, m, t, adv.shows(t.want) || f.proven(f.proof(t))); err != nil {
		return err
	}
	f.prove(f.proof(t))
	return nil
}

// moduleError names the submodule. What must be told apart stays that way.
func (f *fetch) moduleError(err error, name string, rem *remote) error {
	if errors.Is(err, errMirror) || errors.Is(err, errMoved) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, ErrRevisionNotFound) {
		return failf(ReasonGitOperationFailed, "submodule %s: %w: %s doesn't have the commit that the repository names, in any branch or tag that these credentials may see: push it there, or set the submodule to another commit", shorten(name), ErrRevisionNotFound, rem)
	}
	sub := f.forModule(rem, plumbing.ZeroHash)
	var typed *Error
	if !errors.As(sub.classify(err), &typed) {
		return err
	}
	advice := ""
	if typed.Reason == ReasonAuthenticationFailed && !sameServer(f.rem, rem) {
		advice = "; the credentials of spec.secretRef are for " + f.rem.host + " only: use spec.include for repositories of other servers"
	}
	return &Error{Reason: typed.Reason, Err: fmt.Errorf("submodule %s: %w%s", shorten(name), typed.Err, advice)}
}

// modulesOf lists the submodules that a commit's own tree has. What .gitmodules lists and the tree hasn't doesn't count.
func (f *fetch) modulesOf(m *mirror, gitDir string, want plumbing.Hash) ([]gitlink, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o := openObjects(gitDir, f.limits)
	defer o.close()
	h, err := o.peel(want)
	if err != nil {
		return nil, err
	}
	commit, err := o.commit(h)
	if err != nil {
		return nil, err
	}
	listed, err := o.modules(commit)
	if err != nil {
		return nil, err
	}
	var links []gitlink
	for _, mod := range listed {
		item, err := o.lookup(commit.TreeHash, strings.Split(mod.path, "/"))
		if err != nil {
			return nil, err
		}
		if item.is(modeGitlink) {
			links = append(links, gitlink{module: mod, commit: item.blob})
		}
	}
	return links, nil
}

// modules reads .gitmodules.
func (o *objects) modules(commit *object.Commit) ([]module, error) {
	item, err := o.lookup(commit.TreeHash, []string{modulesFile})
	if err != nil || item.parts == nil {
		return nil, err
	}
	if !item.is(modeFile) {
		return nil, failf(ReasonGitOperationFailed, ".gitmodules is no plain file: replace it by one")
	}
	size, err := o.size(item.blob)
	if err != nil {
		return nil, err
	}
	if size > maxModulesFileBytes {
		return nil, &LimitError{Limit: "size of .gitmodules", Value: maxModulesFileBytes, Got: size, What: modulesFile, Advice: "use fewer submodules"}
	}
	text, err := o.typed(plumbing.BlobObject, item.blob)
	if err != nil {
		return nil, err
	}
	mods, err := parseModules(text)
	if err != nil {
		return nil, failf(ReasonGitOperationFailed, ".gitmodules of commit %s: %w: correct it", commit.Hash, err)
	}
	return mods, nil
}

// lookup finds a path in a tree, through directories only. What isn't there has no parts.
func (o *objects) lookup(tree plumbing.Hash, parts []string) (listed, error) {
	for i, part := range parts {
		raw, err := o.typed(plumbing.TreeObject, tree)
		if err != nil {
			return listed{}, err
		}
		var found listed
		for len(raw) > 0 {
			var item listed
			if item, raw, err = nextTreeEntry(raw, parts[:i]); err != nil {
				return listed{}, err
			}
			if item.parts[i] == part {
				found = item
			}
		}
		if i == len(parts)-1 || !found.is(modeDir) {
			if i < len(parts)-1 {
				return listed{}, nil
			}
			return found, nil
		}
		tree = found.blob
	}
	return listed{}, nil
}

// visible reports whether a snapshot's submodules were all shown to the credentials of this request.
func (f *fetch) visible(records []moduleRecord) bool {
	for _, r := range records {
		rem, err := parseURL(r.URL, false)
		if err != nil {
			return false
		}
		h := plumbing.NewHash(r.Commit)
		sub := f.forModule(rem, h)
		if !sub.proven(sub.proof(target{want: h})) {
			return false
		}
	}
	return true
}

// reset empties the mirror that turned out to be damaged.
func (a *modules) reset(err error, m *mirror) {
	if errors.Is(err, errMirror) {
		m.reset(a.touched[m])
	}
}

// resetAll is for when it isn't known which one is damaged.
func (a *modules) resetAll() {
	if a == nil {
		return
	}
	for m, generation := range a.touched {
		m.reset(generation)
	}
}

func (a *modules) list() []moduleRecord {
	if a == nil {
		return nil
	}
	return a.records
}

func (a *modules) release() {
	if a == nil {
		return
	}
	for _, m := range a.users {
		a.store.release(m)
	}
	a.users = nil
}

// lock holds the mirrors of a checkout shared, in an order that is the same for everybody: a writer that waits for one of them keeps
// later readers out, so two readers in opposite orders could wait for each other.
func (a *modules) lock(main *mirror) (unlock func()) {
	held := []*mirror{main}
	if a != nil {
		for m := range a.touched {
			held = append(held, m)
		}
	}
	slices.SortFunc(held, func(x, y *mirror) int { return strings.Compare(x.dir, y.dir) })
	held = slices.Compact(held)
	for _, m := range held {
		m.mu.RLock()
	}
	return func() {
		for _, m := range held {
			m.mu.RUnlock()
		}
	}
}

// open returns the submodules' objects by path. It is called with the mirrors held.
func (a *modules) open(lim Limits) (byPath map[string]*objects, closeAll func()) {
	if a == nil {
		return nil, func() {}
	}
	byPath, byMirror := map[string]*objects{}, map[*mirror]*objects{}
	for name, m := range a.byPath {
		if byMirror[m] == nil {
			byMirror[m] = openObjects(m.dir, lim)
		}
		byPath[name] = byMirror[m]
	}
	return byPath, func() {
		for _, o := range byMirror {
			o.close()
		}
	}
}
