package sources

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestPollsKeepTheNewest(t *testing.T) {
	p, key, other := newPolls(), types.NamespacedName{Name: "repo"}, types.NamespacedName{Name: "other"}
	if !p.keep(key, "one") || p.keep(key, "one") || !p.keep(key, "two") {
		t.Error("only another digest is news")
	}
	if got := p.newest(key); got != "two" {
		t.Errorf("newest is %q", got)
	}
	p.keep(other, "three")
	p.forget(key)
	if got := p.digests(); len(got) != 1 || got[0] != "three" {
		t.Errorf("kept %v, want what the other source has", got)
	}
}

// TestPollsOfAnObjectThatWasMadeAnew: deletion and creation may be seen as one change. Both objects have the same name and generation.
func TestPollsOfAnObjectThatWasMadeAnew(t *testing.T) {
	p, key := newPolls(), types.NamespacedName{Name: "repo"}
	first, anew := p.of(key, "first")
	if first.next = time.Now().Add(time.Hour); anew {
		t.Error("nobody was there before")
	}
	p.keep(key, "one")
	p.hurry(key)
	if again, anew := p.of(key, "first"); again != first || anew {
		t.Error("the same object has what it had")
	}
	second, anew := p.of(key, "second")
	if !anew || !second.next.IsZero() || p.newest(key) != "" || p.hurried(key) {
		t.Errorf("the new object has %+v and %+v of the old one", second, p.mark(key))
	}
}

func TestHurryIsNotLostWhenAFetchBegins(t *testing.T) {
	p, key := newPolls(), types.NamespacedName{Name: "repo"}
	p.of(key, "uid")
	if p.begun(key) {
		t.Error("nobody hurried")
	}
	p.hurry(key)
	if !p.begun(key) || p.hurried(key) {
		t.Error("the fetch that begins must know that it was hurried, and the next one not")
	}
}
