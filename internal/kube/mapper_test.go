package kube

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	oldKind = schema.GroupKind{Group: "example.org", Kind: "Old"}
	newKind = schema.GroupKind{Group: "example.org", Kind: "New"}
)

func serving(kinds ...schema.GroupKind) *served {
	m := meta.NewDefaultRESTMapper(nil)
	for _, k := range kinds {
		m.Add(k.WithVersion("v1"), meta.RESTScopeNamespace)
	}
	return &served{RESTMapper: m}
}

// slowCluster answers what it serves only when it is told to, but for the first time.
type slowCluster struct {
	asked   atomic.Int32
	answers chan *served // nil: a failure
}

func (c *slowCluster) discover() (*served, error) {
	if c.asked.Add(1) == 1 {
		return serving(oldKind), nil
	}
	s := <-c.answers
	if s == nil {
		return nil, errors.New("no answer")
	}
	return s, nil
}

func slowMapper(t *testing.T) (*mapper, *slowCluster) {
	t.Helper()
	c := &slowCluster{answers: make(chan *served)}
	m := newMapper(c.discover)
	if _, err := m.mapping(oldKind, "v1"); err != nil {
		t.Fatal(err)
	}
	m.asked = time.Time{} // long ago
	return m, c
}

func TestSlowDiscoveryHoldsUpNobodyElse(t *testing.T) {
	m, c := slowMapper(t)
	missing := make(chan error)
	go func() {
		_, err := m.mapping(newKind, "v1")
		missing <- err
	}()
	for c.asked.Load() < 2 {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the cluster was not asked")
		}
	}
	known := make(chan error, 1)
	go func() {
		m.invalidate()
		_, err := m.mapping(oldKind, "v1")
		known <- err
	}()
	select {
	case err := <-known:
		if err != nil {
			t.Errorf("what is known is told: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("who asks for what is known must not wait for who asks for what isn't")
	}
	c.answers <- serving(oldKind, newKind)
	if err := <-missing; err != nil {
		t.Errorf("the one who waited has its answer: %v", err)
	}
}

func TestDiscoveryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := slowMapper(t)
		errs := make(chan error)
		for range 5 {
			go func() {
				_, err := m.mapping(newKind, "v1")
				errs <- err
			}()
		}
		synctest.Wait()
		c.answers <- serving(newKind)
		for range 5 {
			if err := <-errs; err != nil {
				t.Errorf("all have the answer: %v", err)
			}
		}
		if n := c.asked.Load(); n != 2 {
			t.Errorf("want one question for all, got %d", n-1)
		}
	})
}

func TestChangeDuringDiscoveryIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := slowMapper(t)
		errs := make(chan error)
		ask := func() {
			_, err := m.mapping(newKind, "v1")
			errs <- err
		}
		go ask()
		synctest.Wait()
		m.invalidate() // the kind has come, too late for the answer that is on its way
		go ask()
		synctest.Wait()
		c.answers <- serving(oldKind)
		if err := <-errs; !meta.IsNoMatchError(err) {
			t.Errorf("the first came before the kind did: want no match, got %v", err)
		}
		synctest.Wait()
		c.answers <- serving(newKind)
		if err := <-errs; err != nil {
			t.Errorf("the second came after it: %v", err)
		}
	})
}

func TestFailedDiscoveryIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := slowMapper(t)
		m.asked = m.now().Add(-refreshEvery)
		m.invalidate()
		errs := make(chan error)
		ask := func() {
			_, err := m.mapping(newKind, "v1")
			errs <- err
		}
		go ask()
		synctest.Wait()
		c.answers <- nil
		if err := <-errs; err == nil || meta.IsNoMatchError(err) {
			t.Errorf("nothing may be concluded without an answer, got %v", err)
		}
		go ask()
		synctest.Wait()
		c.answers <- serving(newKind)
		if err := <-errs; err != nil {
			t.Errorf("the change is still to be learnt: %v", err)
		}
	})
}
