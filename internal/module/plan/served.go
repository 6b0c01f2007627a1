package plan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
)

// servedFor is how long what the cluster is counts as known: it changes with an upgrade of the cluster, or a new definition, and many
// modules are planned at once. Kinds of single objects are asked for anew where they are missing.
const servedFor = 30 * time.Second

// served is what the cluster is.
type served struct {
	version string
	apis    []string
	at      time.Time
}

// cluster says what the cluster is, as Helm's charts want to know it.
func (p *Planner) cluster(ctx context.Context) (*served, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	if p.served != nil && now.Sub(p.served.at) < servedFor {
		return p.served, nil
	}
	c, err := p.Clients.For(kube.Identity{})
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("prepare discovery: %w", err)
	}
	version, err := disco.ServerVersionWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	s := &served{version: version.GitVersion, at: now}
	_, lists, err := disco.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) { // what an aggregated server serves that is away isn't there for charts either
		return nil, fmt.Errorf("ask the cluster what it serves: %w", err)
	}
	for _, l := range lists {
		s.apis = append(s.apis, l.GroupVersion)
		for _, r := range l.APIResources {
			s.apis = append(s.apis, l.GroupVersion+"/"+r.Kind)
		}
	}
	slices.Sort(s.apis)
	s.apis = slices.Compact(s.apis)
	p.served = s
	return s, nil
}

// kind says how the cluster serves a kind; false: it doesn't. The error is of a cluster that could not be asked.
func (p *Planner) kind(gk schema.GroupKind) (permit.Served, bool, error) {
	m, err := p.Clients.Mapping(gk, "")
	if meta.IsNoMatchError(err) {
		return permit.Served{}, false, nil
	}
	if err != nil {
		return permit.Served{}, false, fmt.Errorf("ask the cluster for kind %s: %w", gk, err)
	}
	return permit.Served{Resource: m.Resource.Resource, Namespaced: m.Scope.Name() == meta.RESTScopeNameNamespace}, true, nil
}
