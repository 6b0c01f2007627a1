package source

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// bring sees to it that the target's tree is in the mirror, and that the server
// let these credentials see it. visible: it has already.
func (f *fetch) bring(ctx context.Context, s session, adv *advertised, m *mirror, t target, visible bool) error {
	// Those with the same credentials wait for one of them to fetch. Others
	// don't: a connection that hangs is its owner's business alone.
	end, err := f.turns.take(ctx, f.mirrorKey()+"\x00"+f.auth.id)
	if err != nil {
		return err
	}
	defer end()
	here := f.isHere(m, t.want)
	switch {
	case visible && here:
		return nil
	case visible, adv.can(capability.AllowReachableSHA1InWant):
		return f.bringCommit(ctx, s, adv, m, t)
	}
	return f.bringHistory(ctx, s, adv, m, t)
}

// isHere reports whether a commit's tree is in the mirror. That a tag's object
// is there says so too: they come together.
func (f *fetch) isHere(m *mirror, h plumbing.Hash) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.stateMu.Lock()
	tips := len(m.state.Tips)
	m.stateMu.Unlock()
	if tips == 0 {
		return false
	}
	o := openObjects(m.dir, f.limits)
	defer o.close()
	return o.has(h)
}

// bringCommit fetches one commit without its history. The server sends only
// what the commits that are here don't have.
func (f *fetch) bringCommit(ctx context.Context, s session, adv *advertised, m *mirror, t target) error {
	w := wish{wants: []plumbing.Hash{t.want}, have: m.have()}
	if !t.commit.IsZero() {
		w.tips = []plumbing.Hash{t.commit}
	}
	err := f.receive(ctx, s, adv, m, w)
	if t.pinned && isNotOurs(err) {
		return f.vanished(t)
	}
	return err
}

// bringHistory is for servers that only give away what they advertise: it
// fetches the branch, or all of them, and looks for the commit in there.
func (f *fetch) bringHistory(ctx context.Context, s session, adv *advertised, m *mirror, t target) error {
	tips := adv.tips(f.sel.branch)
	found, err := f.inHistory(ctx, m, tips, t.want)
	if err != nil || found {
		return err
	}
	if len(tips) == 0 {
		return f.vanished(t)
	}
	err = f.receive(ctx, s, adv, m, wish{wants: tips, tips: tips, history: true, have: m.have()})
	var limit *LimitError
	if errors.As(err, &limit) {
		limit.Advice = "this server only gives away branches whole, so spec.ref.commit needs all of the history: set spec.ref.branch beside it, use a tag, set uploadpack.allowReachableSHA1InWant on the server, or raise the limit on the agent"
	}
	if err != nil {
		return err
	}
	if found, err = f.inHistory(ctx, m, tips, t.want); err == nil && !found {
		return f.vanished(t)
	}
	return err
}

func (f *fetch) inHistory(ctx context.Context, m *mirror, tips []plumbing.Hash, commit plumbing.Hash) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o := openObjects(m.dir, f.limits)
	defer o.close()
	return o.reaches(ctx, tips, commit)
}

func (f *fetch) receive(ctx context.Context, s session, adv *advertised, m *mirror, w wish) error {
	p, err := f.store.download(ctx, s, adv, w, f.limits)
	if isNotOurs(err) && len(w.tips) > 0 && adv.shows(w.wants[0]) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer p.discard()
	if err := f.index(m, p); err != nil {
		return err
	}
	ok, err := m.install(f.store, p, w.have)
	if err == nil && !ok {
		return errMirror // Emptied meanwhile: the next attempt fetches all of it.
	}
	return err
}

func (f *fetch) index(m *mirror, p *pack) (err error) {
	defer guard(&err)
	m.mu.RLock()
	defer m.mu.RUnlock()
	o := openObjects(m.dir, f.limits)
	defer o.close()
	return p.indexObjects(o)
}

// isNotOurs recognises a server's refusal to give away an object.
func isNotOurs(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "not our ref") || errors.Is(err, transport.ErrEmptyUploadPackRequest))
}

// tips lists what is advertised under a branch, or all branches and tags when
// branch is empty or isn't there.
func (a *advertised) tips(branch string) []plumbing.Hash {
	if tip, ok := a.refs["refs/heads/"+branch]; ok {
		return []plumbing.Hash{tip}
	}
	var out []plumbing.Hash
	for ref, tip := range a.refs {
		if strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/tags/") {
			out = append(out, tip)
		}
	}
	plumbing.HashesSort(out)
	return slices.Compact(out)
}
