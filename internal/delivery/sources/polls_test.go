package sources

import (
	"testing"

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
