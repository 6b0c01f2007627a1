package source

import (
	"context"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// answers are what servers said lately of their references, each for one URL and one set of credentials: those who were shown it may
// use it again instead of asking, when it is young enough for them. So a thousand sources of one URL cost a few requests, not a thousand.
type answers struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]answer
	refs  int // of all of them together
}

type answer struct {
	adv   *advertised
	asked time.Time
}

// What is remembered is bounded by the references, which is what takes memory; 20,000 take about three megabytes.
const maxAnsweredRefs = 20_000

func (a *answers) get(key string, since time.Time) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byKey[key]
	return known, ok && !known.asked.Before(since)
}

func (a *answers) put(key string, adv *advertised, asked time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(key)
	if a.refs+len(adv.refs) > maxAnsweredRefs {
		clear(a.byKey) // They are asked again, and those who ask most often come back first.
		a.refs = 0
	}
	if len(adv.refs) <= maxAnsweredRefs {
		a.byKey[key] = answer{adv: adv, asked: asked}
		a.refs += len(adv.refs) + 1
	}
}

func (a *answers) drop(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(key)
}

// remove is called with mu held.
func (a *answers) remove(key string) {
	if known, ok := a.byKey[key]; ok {
		a.refs -= len(known.adv.refs) + 1
		delete(a.byKey, key)
	}
}

// ask returns the references that these credentials may see, as they were at GitRequest.Since or later, and a session to fetch with. Of
// those who ask the same at the same time one does, and the others wait for its answer. The mirror stands for the URL and the way there.
func (f *fetch) ask(ctx context.Context, m *mirror) (session, *advertised, error) {
	key := m.dir + "\x00" + f.auth.id
	end, err := f.turns.take(ctx, "ask\x00"+key)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	if known, ok := f.answers.get(key, f.since); ok {
		f.asked = known.asked
		return &laterSession{fetch: f, key: key}, known.adv, nil
	}
	f.asked = f.answers.now()
	s, err := f.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	adv, err := s.advertised(ctx)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	f.answers.put(key, adv, f.asked)
	return s, adv, nil
}

// laterSession speaks to the server only when there is something to fetch: its references are known from somebody else's question.
type laterSession struct {
	*fetch
	key   string
	inner session
}

func (s *laterSession) advertised(ctx context.Context) (*advertised, error) {
	inner, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	s.inner = inner
	return inner.advertised(ctx)
}

// upload begins with the question, as the protocol wants it. What is known is not used again: what it leads to may be gone by now.
func (s *laterSession) upload(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	s.answers.drop(s.key)
	if _, err := s.advertised(ctx); err != nil {
		return nil, err
	}
	return s.inner.upload(ctx, req)
}

func (s *laterSession) close() {
	if s.inner != nil {
		s.inner.close()
	}
}
