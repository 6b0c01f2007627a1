package kube

import (
	"errors"
	"fmt"
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
)

// served is what a cluster says it serves. Groups that could not be asked (an aggregated API server that is down) are in
// failed: nothing may be concluded from their absence.
type served struct {
	meta.RESTMapper
	failed map[string]error
}

// mapper maps kinds to resources from memory, and asks the cluster when a kind is missing there.
type mapper struct {
	discover func() (*served, error)
	now      func() time.Time

	mu      sync.Mutex
	current *served
	asked   time.Time
	// dirty says that what the cluster serves has changed since.
	dirty bool
}

var _ meta.RESTMapper = (*mapper)(nil)

func newMapper(discover func() (*served, error)) *mapper {
	return &mapper{discover: discover, now: time.Now}
}

func discover(client discovery.DiscoveryInterface) func() (*served, error) {
	return func() (*served, error) {
		groups, lists, err := client.ServerGroupsAndResources()
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

// ask runs a question against what is known, and once more after asking the cluster when the answer is that there is no such
// thing and the cluster wasn't asked just now.
func (m *mapper) ask(group string, question func(*served) error) error {
	s, fresh, err := m.load(nil)
	if err != nil {
		return err
	}
	err = question(s)
	if !meta.IsNoMatchError(err) {
		return err
	}
	if !fresh {
		if s, _, err = m.load(s); err != nil {
			return err
		}
		err = question(s)
	}
	if cause := s.failed[group]; cause != nil && meta.IsNoMatchError(err) {
		return fmt.Errorf("the API group %q does not answer: %w", group, cause)
	}
	return err
}

// load returns what is known, asking the cluster when nothing is, or when what is known is still the stale one and it may be
// asked again. fresh says that the cluster was asked by this call.
func (m *mapper) load(stale *served) (s *served, fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != nil && !m.due(stale) {
		return m.current, false, nil
	}
	s, err = m.discover()
	if err != nil {
		return nil, false, err
	}
	m.current, m.asked, m.dirty = s, m.now(), false
	return s, true, nil
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
