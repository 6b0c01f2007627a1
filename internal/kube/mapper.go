package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

const (
	// rediscoverEvery bounds how often an unknown kind makes us ask the cluster what it serves. A set that waits for its CRD
	// asks again and again; one answer costs the API server a few hundred kilobytes.
	rediscoverEvery = 3 * time.Second
	// refreshEvery bounds how often we ask because CRDs have changed, where what is known might still do.
	refreshEvery = 500 * time.Millisecond
	// discoveredWithin bounds all requests together that asking takes, with those that are made again because the server said so.
	discoveredWithin = time.Minute
)

// served is what a cluster says it serves. Groups that could not be asked (an aggregated API server that is down) are in
// failed: nothing may be concluded from their absence.
type served struct {
	meta.RESTMapper
	failed map[string]error
	// found are mappings by kind and version. Kubernetes' mapper asks each group for each, and makes an error for each that hasn't it.
	found sync.Map
}

// RESTMapping is that of Kubernetes' mapper, found once.
func (s *served) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	key := gk.WithVersion(strings.Join(versions, ","))
	if known, ok := s.found.Load(key); ok {
		return known.(*meta.RESTMapping), nil
	}
	mapping, err := s.RESTMapper.RESTMapping(gk, versions...)
	if err == nil {
		s.found.Store(key, mapping)
	}
	return mapping, err
}

// mapper maps kinds to resources from memory, and asks the cluster when a kind is missing there. Those who can be answered from memory don't
// wait for those who can't.
type mapper struct {
	discover func() (*served, error)
	now      func() time.Time

	mu      sync.Mutex
	current *served
	asked   time.Time
	// dirty says that what the cluster serves has changed since it was last asked.
	dirty bool
	// flight is the question to the cluster that is under way, nil when there is none.
	flight *flight
	// failed is why the cluster could not be asked, at the time failedAt, if nothing else is known.
	failed   error
	failedAt time.Time
}

// flight is a question to the cluster, whose answer all share who wait for it.
type flight struct {
	done chan struct{}
	s    *served
	err  error
}

var _ meta.RESTMapper = (*mapper)(nil)

func newMapper(discover func() (*served, error)) *mapper {
	return &mapper{discover: discover, now: time.Now}
}

func discover(client discovery.DiscoveryInterfaceWithContext) func() (*served, error) {
	return func() (*served, error) {
		ctx, cancel := context.WithTimeout(context.Background(), discoveredWithin)
		defer cancel()
		groups, lists, err := client.ServerGroupsAndResourcesWithContext(ctx)
		failed := map[string]error{}
		var partial *discovery.ErrGroupDiscoveryFailed
		if errors.As(err, &partial) {
			for gv, e := range partial.Groups {
				failed[gv.Group] = e
			}
		} else if err != nil {
			return nil, fmt.Errorf("discover what the cluster serves: %w", err)
		}
		return &served{RESTMapper: restmapper.NewDiscoveryRESTMapper(groupResources(groups, lists)), failed: failed}, nil
	}
}

func groupResources(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) []*restmapper.APIGroupResources {
	byVersion := make(map[string][]metav1.APIResource, len(lists))
	for _, l := range lists {
		byVersion[l.GroupVersion] = l.APIResources
	}
	out := make([]*restmapper.APIGroupResources, 0, len(groups))
	for _, g := range groups {
		gr := &restmapper.APIGroupResources{Group: *g, VersionedResources: map[string][]metav1.APIResource{}}
		for _, v := range g.Versions {
			if r, ok := byVersion[v.GroupVersion]; ok {
				gr.VersionedResources[v.Version] = r
			}
		}
		out = append(out, gr)
	}
	return out
}

func (m *mapper) mapping(gk schema.GroupKind, version string) (*meta.RESTMapping, error) {
	if version == "" {
		return m.RESTMapping(gk)
	}
	return m.RESTMapping(gk, version)
}

// ask runs a question against what is known, and again after asking the cluster when the answer is that there is no such thing and
// the cluster wasn't asked just now.
func (m *mapper) ask(group string, question func(*served) error) error {
	s, fresh, err := m.load(nil)
	if err != nil {
		return err
	}
	err = question(s)
	// Twice: what was under way when we came may not know yet what we know.
	for range 2 {
		if fresh || !meta.IsNoMatchError(err) {
			break
		}
		stale := s
		if s, fresh, err = m.load(stale); err != nil {
			return err
		}
		err = question(s)
		if s == stale {
			break
		}
	}
	if cause := s.failed[group]; cause != nil && meta.IsNoMatchError(err) {
		return fmt.Errorf("the API group %q does not answer: %w", group, cause)
	}
	return err
}

// load returns what is known, asking the cluster when nothing is, or when what is known is still the stale one and it may be
// asked again. While somebody else asks it waits only if there is nothing but the stale one. fresh says that the cluster was asked
// by this call.
func (m *mapper) load(stale *served) (s *served, fresh bool, err error) {
	m.mu.Lock()
	untried := m.current != nil && m.current != stale
	if m.flight != nil && untried || m.flight == nil && m.current != nil && !m.due(stale) {
		defer m.mu.Unlock()
		return m.current, false, nil
	}
	if m.current == nil && m.failed != nil && m.now().Sub(m.failedAt) < refreshEvery {
		defer m.mu.Unlock()
		return nil, false, m.failed // whoever has a hundred kinds to ask for asks once
	}
	f := m.flight
	if f != nil {
		m.mu.Unlock()
		<-f.done
		return f.s, false, f.err
	}
	f = &flight{done: make(chan struct{}), err: errors.New("discovery was broken off")}
	m.flight = f
	dirty := m.dirty
	m.dirty = false // what changes from here on may not be in the answer
	m.mu.Unlock()
	m.fly(f, dirty)
	return f.s, true, f.err
}

// fly asks the cluster. dirty is put back when there is no answer.
func (m *mapper) fly(f *flight, dirty bool) {
	defer close(f.done)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.flight = nil
		if f.err != nil {
			m.dirty = m.dirty || dirty
			m.failed, m.failedAt = f.err, m.now()
			return
		}
		m.current, m.asked, m.failed = f.s, m.now(), nil
	}()
	f.s, f.err = m.discover()
}

// due tells whether the cluster has to be asked again. It needs m.mu held.
func (m *mapper) due(stale *served) bool {
	since := m.now().Sub(m.asked)
	if m.current == stale {
		return m.dirty || since >= rediscoverEvery
	}
	return m.dirty && since >= refreshEvery
}

func (m *mapper) invalidate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty = true
}

// The methods below make the mapper a meta.RESTMapper for Kubernetes' own libraries.

func (m *mapper) KindFor(r schema.GroupVersionResource) (k schema.GroupVersionKind, err error) {
	err = m.ask(r.Group, func(s *served) (err error) { k, err = s.KindFor(r); return err })
	return k, err
}

func (m *mapper) KindsFor(r schema.GroupVersionResource) (k []schema.GroupVersionKind, err error) {
	err = m.ask(r.Group, func(s *served) (err error) { k, err = s.KindsFor(r); return err })
	return k, err
}

func (m *mapper) ResourceFor(in schema.GroupVersionResource) (r schema.GroupVersionResource, err error) {
	err = m.ask(in.Group, func(s *served) (err error) { r, err = s.ResourceFor(in); return err })
	return r, err
}

func (m *mapper) ResourcesFor(in schema.GroupVersionResource) (r []schema.GroupVersionResource, err error) {
	err = m.ask(in.Group, func(s *served) (err error) { r, err = s.ResourcesFor(in); return err })
	return r, err
}

func (m *mapper) RESTMapping(gk schema.GroupKind, versions ...string) (r *meta.RESTMapping, err error) {
	err = m.ask(gk.Group, func(s *served) (err error) { r, err = s.RESTMapping(gk, versions...); return err })
	return r, err
}

func (m *mapper) RESTMappings(gk schema.GroupKind, versions ...string) (r []*meta.RESTMapping, err error) {
	err = m.ask(gk.Group, func(s *served) (err error) { r, err = s.RESTMappings(gk, versions...); return err })
	return r, err
}

func (m *mapper) ResourceSingularizer(resource string) (singular string, err error) {
	err = m.ask("", func(s *served) (err error) { singular, err = s.ResourceSingularizer(resource); return err })
	return singular, err
}
