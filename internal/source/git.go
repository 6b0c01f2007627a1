package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// GitRequest is what a GitRepository's spec asks for.
type GitRequest struct {
	// URL is http(s)://, ssh://, or file:// where AllowFile permits it.
	URL string
	// Ref is spec.ref; nil means the branch master.
	Ref *sourcev1.GitRepositoryRef
	// Since is how old the server's word on its references may be: it was asked then or later, with the same credentials. Zero: now.
	Since time.Time
	// Ignore is spec.ignore; nil means the defaults.
	Ignore *string
	// Auth is what the server is shown; the zero value is anonymous.
	Auth Auth
	// Proxy is the way to the server; the zero value is the environment's.
	Proxy Proxy
	// Limits bound the repository; zero fields mean defaults.
	Limits Limits
	// Verify says whose signatures the revision must have; nil: none.
	Verify *Verification
	// Submodules takes submodules in, and those in them. Their servers are shown Auth only if they are URL's.
	Submodules bool
	// Sparse are the directories that are taken; empty: all.
	Sparse []string
	// Includes are put into the tree.
	Includes []Include
}

// Git fetches from Git servers into a store. It is safe for concurrent use.
type Git struct {
	store      *Store
	allowFile  bool
	transports *transports
	flights    *flights
	turns      *turns
	answers    *answers
	tokens     *appTokens

	mu     sync.Mutex
	proofs map[string]bool
}

// GitOption changes a Git from its defaults.
type GitOption func(*Git)

// AllowFile permits file:// URLs. They read the machine's own disk, so this is
// for a lab, not for a shared cluster.
func AllowFile() GitOption { return func(g *Git) { g.allowFile = true } }

// GitClock sets the clock by which tokens of GitHub Apps expire. Default time.Now.
func GitClock(now func() time.Time) GitOption { return func(g *Git) { g.tokens.now = now } }

// NewGit returns a fetcher that keeps what it fetches in store.
func NewGit(store *Store, opts ...GitOption) *Git {
	g := &Git{
		store:      store,
		transports: &transports{byID: map[string]*http.Transport{}},
		flights:    &flights{byKey: map[string]*flight{}},
		turns:      &turns{byKey: map[string]*turn{}},
		answers:    &answers{now: time.Now, byKey: map[string]answer{}},
		tokens:     &appTokens{now: time.Now, turns: &turns{byKey: map[string]*turn{}}, byApp: map[string]appToken{}},
		proofs:     map[string]bool{},
	}
	for _, o := range opts {
		o(g)
	}
	return g
}

// Close gives up the kept connections.
func (g *Git) Close() { g.transports.close() }

// Fetch returns the tree that a request names at this moment. previous is the
// digest or the revision that the caller has from the last time, or empty: the
// tree is built on it, so that unchanged files aren't read again.
//
// The server is asked for its references, unless req.Since allows an answer
// that these credentials got before, and for nothing else when the revision's
// tree is in the store. Equal requests at the same time share
// one run, unless it asked before req.Since. The timeout is ctx's. Errors are *[Error]; snapshots that were
// handed out before stay readable whatever happens.
func (g *Git) Fetch(ctx context.Context, req GitRequest, previous string) (*Snapshot, error) {
	rem, err := parseURL(req.URL, g.allowFile)
	if err != nil {
		return nil, err
	}
	sel, err := newSelector(req.Ref)
	if err != nil {
		return nil, err
	}
	f := &fetch{
		Git: g, rem: rem, sel: sel, auth: req.Auth.withURL(rem), ignore: req.Ignore, limits: req.Limits.withDefaults(), previous: previous,
		verification: req.Verify, recurse: req.Submodules, proxy: req.Proxy, since: req.Since,
	}
	if f.sparse, err = newSparse(req.Sparse); err != nil {
		return nil, err
	}
	if f.includes, err = checkIncludes(req.Includes); err != nil {
		return nil, err
	}
	if err := f.checkVerification(); err != nil {
		return nil, err
	}
	if f.since.IsZero() {
		f.since = g.answers.now()
	}
	f.rules = f.rulesKey()
	key := strings.Join([]string{f.mirrorKey(), f.auth.id, sel.key(), f.rules, fmt.Sprint(f.limits), f.verification.key()}, "\x00")
	snap, err := g.flights.do(ctx, key, f.since, f.fly)
	if err != nil {
		return nil, f.classify(err)
	}
	return snap, nil
}

// proven reports whether the server has shown a commit to these credentials.
func (g *Git) proven(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proofs[key]
}

// maxProofs bounds what is remembered; who is forgotten proves it again.
const maxProofs = 10_000

func (g *Git) prove(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.proofs) >= maxProofs {
		clear(g.proofs)
	}
	g.proofs[key] = true
}

// fetch is one run of Git.Fetch.
type fetch struct {
	*Git
	rem      *remote
	sel      selector
	auth     Auth
	ignore   *string
	rules    string
	limits   Limits
	previous string
	since    time.Time
	asked    time.Time // when the server said what the run goes by

	verification *Verification
	recurse      bool
	proxy        Proxy
	sparse       sparse
	includes     []Include
}

// mirrorKey names what is kept on disk for the fetch's URL, by the way that leads there. Somebody's own proxy could show a commit
// that the real server has, and get what was fetched from there.
func (f *fetch) mirrorKey() string {
	if f.proxy.id == "" {
		return f.rem.key()
	}
	sum := sha256.Sum256([]byte(f.rem.key() + "\x00" + f.proxy.id))
	return hex.EncodeToString(sum[:16])
}

// proof names the fact that the server has shown these credentials what a target wants.
func (f *fetch) proof(t target) string {
	return strings.Join([]string{f.mirrorKey(), f.auth.id, t.want.String()}, "\x00")
}

// attempts is how often a run starts over: when the mirror turns out damaged,
// or when a revision was pushed away between the question and the fetch.
const attempts = 3

// fly is run for those who share it.
func (f *fetch) fly(ctx context.Context) (*Snapshot, time.Time, error) {
	f.asked = f.answers.now()
	snap, err := f.run(ctx)
	return snap, f.asked, err
}

func (f *fetch) run(ctx context.Context) (*Snapshot, error) {
	m := f.store.mirror(f.mirrorKey())
	defer f.store.release(m)
	renewed := false
	var err error
	for range attempts {
		if err = f.logIn(ctx); err != nil {
			return nil, err
		}
		generation := m.current()
		var snap *Snapshot
		if f.rem.scheme == "file" {
			snap, err = f.local(ctx, m)
		} else {
			snap, err = f.hosted(ctx, m)
		}
		switch {
		case err == nil:
			return snap, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case f.auth.app != nil && !renewed && isRefusal(err):
			// The token was taken back before its time; a new one may be good.
			f.tokens.drop(f.tokenKey())
			renewed = true
		case errors.Is(err, errMirror):
			m.reset(generation)
		case errors.Is(err, errMoved):
			f.since = f.answers.now() // The answer that it goes by is outdated.
		case errors.Is(err, ErrDamaged):
		default:
			return nil, err
		}
	}
	return nil, err
}

// hosted asks the server and fetches what is missing.
func (f *fetch) hosted(ctx context.Context, m *mirror) (*Snapshot, error) {
	s, adv, err := f.ask(ctx, m)
	if err != nil {
		return nil, err
	}
	defer s.close()
	t, err := f.sel.resolve(adv, f.rem)
	if err != nil {
		return nil, err
	}
	visible := !t.pinned || adv.shows(t.want) || f.proven(f.proof(t))
	if visible {
		if snap, ok, err := f.stored(m, m.dir, t); ok || err != nil {
			return snap, err
		}
	}
	if err := f.bring(ctx, s, adv, m, t, visible); err != nil {
		return nil, err
	}
	if t.pinned {
		f.prove(f.proof(t))
	}
	return f.checkout(ctx, m, m.dir, t)
}

func (f *fetch) open(ctx context.Context) (session, error) {
	if f.rem.scheme == "ssh" {
		return openSSH(ctx, f.rem, f.auth, f.proxy, f.limits)
	}
	return openHTTP(f.rem, f.auth, f.proxy, f.limits, f.transports)
}

// local reads a repository on this machine.
func (f *fetch) local(ctx context.Context, m *mirror) (*Snapshot, error) {
	dir, err := localGitDir(f.rem.path)
	if err != nil {
		return nil, err
	}
	o := openObjects(dir, f.limits)
	defer o.close()
	adv, err := localRefs(o)
	if err != nil {
		return nil, err
	}
	t, err := f.sel.resolve(adv, f.rem)
	if err != nil {
		return nil, err
	}
	if t.pinned && !adv.shows(t.want) {
		found, err := o.reaches(ctx, adv.tips(""), t.want)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, f.vanished(t)
		}
	}
	if snap, ok, err := f.stored(m, dir, t); ok || err != nil {
		return snap, err
	}
	return f.checkout(ctx, m, dir, t)
}

// stored looks a revision up among what was checked out before. gitDir has the signed objects.
func (f *fetch) stored(m *mirror, gitDir string, t target) (*Snapshot, bool, error) {
	f.store.gc.RLock()
	defer f.store.gc.RUnlock()
	snap, ok := f.recorded(m, t)
	if !ok || f.verification == nil {
		return snap, ok, nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o := openObjects(gitDir, f.limits)
	defer o.close()
	// What an annotated tag stands for is the server's word so far. What is signed is the tag's object, so that must say the same.
	commit, err := o.peel(t.want)
	if err == nil && commit != t.commit {
		return nil, false, nil // It is checked out by the tag's own word.
	}
	if err == nil {
		snap.proofs, err = f.verify(o, t)
	}
	if errors.Is(err, errMirror) {
		return nil, false, nil // The tag is new, or the mirror was emptied: it must be fetched.
	}
	return snap, err == nil, err
}

// recorded is called with the store's gc held shared.
func (f *fetch) recorded(m *mirror, t target) (*Snapshot, bool) {
	if t.commit.IsZero() {
		return nil, false
	}
	r, ok := m.find(t.commit, f.rules)
	if !ok || !f.visible(r.Modules) {
		return nil, false
	}
	snap, ok := f.store.get(r.Digest)
	if !ok {
		return nil, false
	}
	snap.revision, snap.commit = t.revision(t.commit), r.Commit
	return snap, true
}

// checkout takes the tree of a target out of a Git folder into the store.
func (f *fetch) checkout(ctx context.Context, m *mirror, gitDir string, t target) (_ *Snapshot, err error) {
	mods, err := f.submodules(ctx, m, gitDir, t)
	if err != nil {
		return nil, err
	}
	defer mods.release()
	defer func() {
		if errors.Is(err, errMirror) {
			mods.resetAll()
		}
	}()
	f.store.gc.RLock()
	defer f.store.gc.RUnlock()
	defer mods.lock(m)()
	o := openObjects(gitDir, f.limits)
	defer o.close()
	if t.commit, err = o.peel(t.want); err != nil {
		return nil, err
	}
	proofs, err := f.verify(o, t)
	if err != nil {
		return nil, err
	}
	if snap, ok := f.recorded(m, t); ok {
		snap.proofs = proofs
		return snap, nil // A tag that could only be peeled now, or somebody was faster.
	}
	commit, err := o.commit(t.commit)
	if err != nil {
		return nil, err
	}
	inside, done := mods.open(f.limits)
	defer done()
	c := &checkout{objects: o, store: f.store, limits: f.limits, known: f.known(m), sparse: f.sparse.fresh(), modules: inside, includes: f.includes}
	root, err := c.run(ctx, commit.TreeHash, f.ignore)
	if err != nil {
		return nil, err
	}
	info := describe(commit)
	snap, err := f.store.put(root, t.revision(t.commit), info)
	if err != nil {
		return nil, err
	}
	snap.proofs = proofs
	return snap, m.remember(f.store, record{Rules: f.rules, Digest: snap.Digest(), Commit: info, Modules: mods.list()})
}

// known lists the blobs of the snapshot that the next one is likely to share
// most with. Only snapshots of this URL count: their content came from it.
func (f *fetch) known(m *mirror) map[plumbing.Hash]entry {
	t, ok := f.store.load(m.base(f.previous))
	if !ok {
		return nil
	}
	known := map[plumbing.Hash]entry{}
	_ = t.root.walk(func(n *node) error { // The visitor never fails.
		if n.kind != kindLink && !n.git.IsZero() {
			known[n.git] = n.entry
		}
		return nil
	})
	return known
}

func (f *fetch) vanished(t target) error {
	return failf(ReasonGitOperationFailed, "%w: %s doesn't have the commit %s in any branch or tag that these credentials may see: it may have been pushed away; change spec.ref; what was fetched before stays in use", ErrRevisionNotFound, f.rem, t.want)
}

// errMoved: what the server had shown was gone when it was asked for.
var errMoved = fmt.Errorf("%w: the reference moved while it was fetched", transport.ErrEmptyUploadPackRequest)
