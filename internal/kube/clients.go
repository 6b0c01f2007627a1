package kube

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/lru"
)

const (
	// keepClients is how many clients are kept, the latest used: who may name service accounts must not fill the memory with them. A
	// client that is built again costs some allocations and no connection.
	keepClients = 512
	// discoverWithin bounds one request that asks what the cluster serves, as client-go's own default does: aggregated API servers
	// may be slow, or never answer.
	discoverWithin = 32 * time.Second
)

// Identity is the service account that requests are made as. The zero value is whoever the configuration names: the agent's
// own identity in a cluster, the person's on a machine.
type Identity struct {
	Namespace, ServiceAccount string
}

// String returns the name that RBAC knows the identity by, or "" for the zero value.
func (i Identity) String() string {
	if i == (Identity{}) {
		return ""
	}
	return fmt.Sprintf("system:serviceaccount:%s:%s", i.Namespace, i.ServiceAccount)
}

// Client speaks to the cluster as one identity. All clients of one Clients share their connections.
type Client struct {
	// Dynamic reads and writes whole objects.
	Dynamic dynamic.Interface
	// Metadata reads and writes objects of which only the metadata is wanted.
	Metadata metadata.Interface
	// REST makes requests by absolute path, for those who need the status code of the answer or its raw bytes.
	REST rest.Interface
	// Config is for those who build clients of their own; together with HTTP they share the connections.
	Config *rest.Config
	// HTTP is the transport with the identity's headers in it.
	HTTP *http.Client
}

// Clients hands out clients for a cluster, one per identity, over one shared transport. It has no limit of its own on the rate of
// requests: the API server's Priority and Fairness governs, and answers of 429 are retried when the server says.
// It is safe for concurrent use.
type Clients struct {
	config *rest.Config
	base   http.RoundTripper
	mapper *mapper

	mu    sync.Mutex
	cache *lru.Cache // of Identity → *Client
}

// NewClients prepares clients for the cluster of the configuration; it makes no request.
func NewClients(cfg *rest.Config) (*Clients, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, -1
	base, err := rest.TransportFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("prepare transport: %w", err)
	}
	c := &Clients{config: cfg, base: base, cache: lru.New(keepClients)}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, &http.Client{Transport: base, Timeout: cmp.Or(cfg.Timeout, discoverWithin)})
	if err != nil {
		return nil, fmt.Errorf("prepare discovery: %w", err)
	}
	c.mapper = newMapper(discover(disco))
	return c, nil
}

// For returns the client of an identity, the same one for those that are asked for often. Service accounts are impersonated by name alone: the API server adds their groups.
func (c *Clients) For(id Identity) (*Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl, ok := c.cache.Get(id); ok {
		return cl.(*Client), nil //nolint:forcetypeassert // we put nothing else in
	}
	cl, err := c.build(id)
	if err != nil {
		return nil, fmt.Errorf("prepare client for %q: %w", id, err)
	}
	c.cache.Add(id, cl)
	return cl, nil
}

func (c *Clients) build(id Identity) (*Client, error) {
	cfg, rt := rest.CopyConfig(c.config), c.base
	if user := id.String(); user != "" {
		cfg.Impersonate = rest.ImpersonationConfig{UserName: user}
		rt = transport.NewImpersonatingRoundTripper(transport.ImpersonationConfig{UserName: user}, rt)
	}
	httpClient := &http.Client{Transport: rt, Timeout: cfg.Timeout}

	raw := dynamic.ConfigFor(cfg)
	raw.GroupVersion = nil
	restClient, err := rest.UnversionedRESTClientForConfigAndClient(raw, httpClient)
	if err != nil {
		return nil, err
	}
	md, err := metadata.NewForConfigAndClient(metadata.ConfigFor(cfg), httpClient)
	if err != nil {
		return nil, err
	}
	return &Client{Dynamic: dynamic.New(restClient), Metadata: md, REST: restClient, Config: cfg, HTTP: httpClient}, nil
}

// Mapping returns the resource and the scope of a kind. When the kind is unknown the cluster is asked again, at most once in
// a few seconds. An error that meta.IsNoMatchError knows means that the cluster doesn't serve the kind; any other means that
// the cluster could not be asked about it.
func (c *Clients) Mapping(gk schema.GroupKind, version string) (*meta.RESTMapping, error) {
	return c.mapper.mapping(gk, version)
}

// Get reads one object as an identity. Without a version in the reference it is read in the one that the cluster prefers.
func (c *Clients) Get(ctx context.Context, id Identity, ref Ref) (*unstructured.Unstructured, error) {
	cl, err := c.For(id)
	if err != nil {
		return nil, err
	}
	m, err := c.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return cl.Dynamic.Resource(m.Resource).Get(ctx, ref.Name, metav1.GetOptions{})
	}
	return cl.Dynamic.Resource(m.Resource).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
}

// Invalidate says that the cluster serves other kinds than before, or the same ones otherwise: the next Mapping asks. Call it when a
// CRD has come, changed or gone.
func (c *Clients) Invalidate() { c.mapper.invalidate() }

// Mapper returns the shared mapping in the form that Kubernetes' libraries want.
func (c *Clients) Mapper() meta.RESTMapper { return c.mapper }
