package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// session is one conversation with a server under one set of credentials.
type session interface {
	// advertised lists the references that these credentials may see.
	advertised(ctx context.Context) (*advertised, error)
	// upload asks for a pack. It is called at most once, after advertised.
	upload(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	close()
}

// decodeRefs takes what is needed out of the protocol's message.
func decodeRefs(ar *packp.AdvRefs) (*advertised, error) {
	if format := ar.Capabilities.Get(capability.ObjectFormat); len(format) > 0 && format[0] != "sha1" {
		return nil, failf(ReasonGitOperationFailed, "the repository uses the object format %s, only sha1 is supported: convert it", quote(errors.New(format[0]), nil))
	}
	a := &advertised{refs: ar.References, peeled: ar.Peeled, caps: ar.Capabilities}
	if ar.Head != nil {
		a.refs["HEAD"] = *ar.Head
	}
	return a, nil
}

// wish is what a fetch asks for.
type wish struct {
	wants []plumbing.Hash
	// tips are the commits that wants lead to; empty where that shows only later.
	tips []plumbing.Hash
	// history: with all ancestors, else the wanted commits alone.
	history bool
	have    have
}

// request puts a wish in words that the server understands.
func (w wish) request(adv *advertised) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(adv.caps)
	req.Wants = w.wants
	if adv.can(capability.NoProgress) {
		_ = req.Capabilities.Set(capability.NoProgress) // It takes no argument that could be wrong.
	}
	if w.history || !adv.can(capability.Shallow) {
		// Without the words for what we lack we must not say what we have.
		return req
	}
	_ = req.Capabilities.Set(capability.Shallow) // As above.
	req.Depth = packp.DepthCommits(1)
	req.Shallows = w.have.shallow
	req.Haves = w.have.tips
	if req.IsEmpty() {
		req.Haves = nil // The library won't ask for what we say we have.
	}
	if len(req.Haves) > 0 {
		// For a shallow fetch, Git looks at what we have only when it may make
		// deltas against it; otherwise it sends the whole tree again.
		_ = req.Capabilities.Set(capability.ThinPack) // As above.
	}
	return req
}

// download fetches a wish into the store's tmp folder.
func (s *Store) download(ctx context.Context, from session, adv *advertised, w wish, lim Limits) (*pack, error) {
	req := w.request(adv)
	resp, err := from.upload(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Close() }() // What matters was read, or failed.
	var data io.Reader = resp
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		data = sideband.NewDemuxer(sideband.Sideband64k, resp)
	case req.Capabilities.Supports(capability.Sideband):
		data = sideband.NewDemuxer(sideband.Sideband, resp)
	}
	p, err := s.receivePack(data, lim)
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	p.tips, p.shallow = w.tips, resp.Shallows
	if len(p.tips) == 0 {
		p.tips = resp.Shallows
	}
	return p, nil
}

// meter is a reader that fails, by name, past a limit.
type meter struct {
	r    io.Reader
	left int64
	err  *LimitError
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		// The end may be exactly at the limit.
		if n, err := m.r.Read(p[:min(len(p), 1)]); n == 0 {
			return 0, err
		}
		return 0, m.err
	}
	n, err := m.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	return n, err
}

func refsLimit() *LimitError {
	return &LimitError{Limit: "advertised references", Value: maxAdvertisedBytes, What: "the server's list of references", Advice: "delete stale branches and tags"}
}

func packLimit(lim Limits) *LimitError {
	return &LimitError{Limit: "MaxPackBytes", Value: lim.MaxPackBytes, What: "what the server sends", Advice: advicePack}
}

// guard turns a panic of the protocol's decoder into an error: a hostile server
// must not take the process down.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the server's answer can't be decoded: %v", p)
	}
}
