package oci

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// Request is what an OCIRepository's spec asks for.
type Request struct {
	// URL is oci://HOST/PATH.
	URL string
	// Ref is spec.ref; nil means the tag latest.
	Ref *sourcev1.OCIRepositoryRef
	// Layer is spec.layerSelector; nil means the first layer, unpacked.
	Layer *sourcev1.OCILayerSelector
	// Ignore is spec.ignore; nil means the defaults. It has no meaning for a layer that is copied.
	Ignore *string
	// Insecure allows plain HTTP, and certificates that nobody vouches for where Auth names none.
	Insecure bool
	// Auth is what the registry is shown; the zero value is anonymous.
	Auth Auth
	// Verify checks the artifact's signature; nil means that none is needed.
	Verify signature.Verifier
	// Limits bound the artifact; zero fields mean defaults.
	Limits source.Limits
}

// Result is what a registry had.
type Result struct {
	// Snapshot is the tree. Its revision is "TAG@sha256:…", or "sha256:…" for a pinned digest. Where the layer is copied, its digest,
	// size and archive are those of the layer as the registry has it.
	Snapshot *source.Snapshot
	// Metadata are the annotations of the artifact's manifest.
	Metadata map[string]string
	// Verified says what was found of the signature; the zero value where none was needed.
	Verified signature.Verdict
}

// Client fetches from registries into a store. It is safe for concurrent use.
type Client struct {
	store       *source.Store
	connections *connections
	turns       *turns

	now func() time.Time

	proofs   *memo[bool]     // manifests that were shown to somebody, by place, credentials and digest
	verdicts *memo[verdict]  // signatures that were good, by verifier, repository and digest
	pulled   *memo[artifact] // what the manifest said, by fetch.key

	runsOn *memo[[]string] // platforms of images, by place, credentials and digest
}

// Option changes a Client from its defaults.
type Option func(*Client)

// Clock sets the clock that tells how long a signature counts as verified. Default time.Now.
func Clock(now func() time.Time) Option { return func(c *Client) { c.now = now } }

// NewClient returns a fetcher that keeps what it fetches in store.
func NewClient(store *source.Store, opts ...Option) *Client {
	c := &Client{
		store: store, connections: &connections{all: map[string]*connection{}}, turns: &turns{byKey: map[string]*turn{}}, now: time.Now,
		proofs: newMemo[bool](10_000), verdicts: newMemo[verdict](10_000), pulled: newMemo[artifact](1000), runsOn: newMemo[[]string](1000),
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

// Close gives up the kept connections.
func (c *Client) Close() { c.connections.close() }

// Fetch returns what a request names at this moment.
//
// A tag costs one HEAD request, a range one list besides, a pinned digest nothing after the first time. The signature is looked
// at when the digest or the verifier is new, and again after a day. Manifest and layer are pulled when the store doesn't have them. The timeout is ctx's.
// Errors are *[source.Error]; those of a signature have the reason [ReasonVerification].
func (c *Client) Fetch(ctx context.Context, req Request) (*Result, error) {
	f, err := c.prepare(req)
	if err != nil {
		return nil, err
	}
	return f.run(ctx)
}

// Tags lists all tags of a request's repository, in the registry's order; nothing but its URL, Auth and Insecure is looked at. It costs one
// request for each page. Errors are *[source.Error].
func (c *Client) Tags(ctx context.Context, req Request) ([]string, error) {
	f, err := c.prepare(req)
	if err != nil {
		return nil, err
	}
	all, err := f.tags(ctx)
	if err != nil {
		return nil, f.classify(err, ReasonTags, "list the tags of")
	}
	return all, nil
}

// prepare checks a request and finds the way to its registry.
func (c *Client) prepare(req Request) (*fetch, error) {
	repo, err := parseURL(req.URL, req.Insecure)
	if err != nil {
		return nil, err
	}
	f := &fetch{Client: c, repo: repo, auth: req.Auth, insecure: req.Insecure, ignore: req.Ignore, verify: req.Verify, limits: req.Limits}
	if req.Ref != nil {
		f.ref = *req.Ref
	}
	if req.Layer != nil {
		f.layer = *req.Layer
	}
	if f.conn, err = c.connections.to(repo, req.Auth, req.Insecure); err != nil {
		return nil, f.classify(err, ReasonPull, "reach")
	}
	return f, nil
}

// fetch is one run of Client.Fetch.
type fetch struct {
	*Client
	repo     name.Repository
	conn     *connection
	ref      sourcev1.OCIRepositoryRef
	layer    sourcev1.OCILayerSelector
	ignore   *string
	auth     Auth
	insecure bool
	verify   signature.Verifier
	limits   source.Limits
}

func (f *fetch) run(ctx context.Context) (*Result, error) {
	t, err := f.resolve(ctx)
	if err != nil {
		return nil, err
	}
	// Those who want the same wait for one of them to pull it.
	end, err := f.turns.take(ctx, f.key(t)+"\x00"+f.auth.id)
	if err != nil {
		return nil, f.classify(err, ReasonPull, "pull from")
	}
	defer end()
	verdict, err := f.verified(ctx, t)
	if err != nil {
		return nil, err
	}
	result, ok := f.recall(t)
	if !ok {
		if result, err = f.pull(ctx, t); err != nil {
			return nil, err
		}
	}
	result.Verified = verdict
	return result, nil
}

// key names all that the tree depends on.
func (f *fetch) key(t target) string {
	rules := source.RulesKey(f.ignore)
	if f.copies() {
		rules = "copy"
	}
	return strings.Join([]string{"oci", f.place(), t.digest.String(), f.layer.MediaType, rules, fmt.Sprint(f.limits)}, "\x00")
}

// place names the repository by the way that leads there. Somebody's own proxy, or whoever answers where nobody vouches for the
// registry, could claim to have a digest that the real registry has, and get what was pulled from there.
func (f *fetch) place() string {
	if f.auth.way == "" && !f.insecure {
		return f.repo.Name()
	}
	return fmt.Sprintf("%s %s %t", f.repo.Name(), f.auth.way, f.insecure)
}

func (f *fetch) copies() bool { return f.layer.Operation == sourcev1.OCILayerCopy }

func (c *Client) proven(proof string) bool {
	_, ok := c.proofs.get(proof)
	return ok
}

// wanted names what was asked for, for a message.
func (f *fetch) wanted() string {
	of := f.repo.RepositoryStr()
	switch {
	case f.ref.Digest != "":
		return of + "@" + f.ref.Digest
	case f.ref.SemVer != "":
		return of + " with a version in " + f.ref.SemVer
	case f.ref.Tag != "":
		return of + ":" + f.ref.Tag
	}
	return of + ":" + name.DefaultTag
}

// artifact is what is remembered of a manifest.
type artifact struct {
	metadata map[string]string
	// layer is the digest of a layer that is served as it is; empty where it is unpacked.
	layer string
}

// recall finds what was pulled before, by whomever.
func (f *fetch) recall(t target) (*Result, bool) {
	a, ok := f.pulled.get(f.key(t))
	if !ok {
		return nil, false
	}
	return f.stored(t, a)
}

// stored finds the tree of an artifact in the store.
func (f *fetch) stored(t target, a artifact) (*Result, bool) {
	snap, ok := f.store.Recall(f.key(t))
	if ok && a.layer != "" {
		snap, ok = f.store.Get(a.layer)
	}
	if !ok {
		return nil, false
	}
	return &Result{Snapshot: snap.At(t.revision()), Metadata: a.metadata}, true
}

// turns lets one at a time do something under a key.
type turns struct {
	mu    sync.Mutex
	byKey map[string]*turn
}

type turn struct {
	slot  chan struct{}
	users int
}

// take waits for its turn, or for ctx. The returned function ends the turn.
func (t *turns) take(ctx context.Context, key string) (end func(), err error) {
	t.mu.Lock()
	tn, ok := t.byKey[key]
	if !ok {
		tn = &turn{slot: make(chan struct{}, 1)}
		t.byKey[key] = tn
	}
	tn.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if tn.users--; tn.users == 0 {
			delete(t.byKey, key)
		}
	}
	select {
	case tn.slot <- struct{}{}:
		return func() { <-tn.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
