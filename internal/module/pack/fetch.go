package pack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// Fetcher takes packages from where they are published. It keeps what it has fetched for a day, in a folder of its own. It is safe for
// concurrent use.
type Fetcher struct {
	store     *source.Store
	registry  *oci.Client
	git       *source.Git
	web       *web
	insecure  []string
	allowFile bool
	now       func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // digests in the store, and when they were handed out
	tidy time.Time            // when the store was last cleaned
}

// Option changes a Fetcher from its defaults.
type Option func(*Fetcher)

// Insecure allows registries, by their hosts as URLs say them, to answer without TLS. Default: none may.
func Insecure(registries ...string) Option {
	return func(f *Fetcher) { f.insecure = append(f.insecure, registries...) }
}

// AllowFile permits Git repositories at file:// URLs. They read the machine's own disk, so this is for a lab and for the CLI.
func AllowFile() Option { return func(f *Fetcher) { f.allowFile = true } }

// WithClock sets the clock by which packages are forgotten and signatures are looked at again. Default time.Now.
func WithClock(now func() time.Time) Option { return func(f *Fetcher) { f.now = now } }

// NewFetcher returns a fetcher that keeps its packages in dir, which nobody else may use.
func NewFetcher(dir string, opts ...Option) (*Fetcher, error) {
	f := &Fetcher{now: time.Now, used: map[string]time.Time{}}
	for _, o := range opts {
		o(f)
	}
	store, err := source.NewStore(dir, source.WithClock(f.now))
	if err != nil {
		return nil, fmt.Errorf("open the store of packages: %w", err)
	}
	gitOptions := []source.GitOption{source.GitClock(f.now)}
	if f.allowFile {
		gitOptions = append(gitOptions, source.AllowFile())
	}
	f.store = store
	f.registry = oci.NewClient(store, oci.Clock(f.now))
	f.git = source.NewGit(store, gitOptions...)
	f.web = newWeb(store)
	return f, nil
}

// Close gives up the kept connections.
func (f *Fetcher) Close() {
	f.registry.Close()
	f.git.Close()
	f.web.close()
}

// Versions lists what a source has, the newest first. What isn't a version with three numbers isn't listed. It costs a request or two.
// Plain manifests have no list: that is [ErrUnlisted]. An *[Unavailable] may have an answer later.
func (f *Fetcher) Versions(ctx context.Context, from v1alpha1.PackageSource, credentials Credentials) ([]Available, error) {
	all, err := f.versions(ctx, from, credentials)
	if err != nil {
		return nil, classify(err)
	}
	return all, nil
}

func (f *Fetcher) versions(ctx context.Context, from v1alpha1.PackageSource, credentials Credentials) ([]Available, error) {
	switch {
	case from.OCI != nil:
		return f.registryVersions(ctx, from.OCI.URL, credentials)
	case from.Git != nil:
		return f.gitVersions(ctx, *from.Git, credentials)
	case from.Chart != nil && isRegistry(from.Chart.Repository):
		return f.registryVersions(ctx, chartURL(*from.Chart), credentials)
	case from.Chart != nil:
		return f.chartVersions(ctx, *from.Chart, credentials)
	case from.Manifests != nil:
		return nil, ErrUnlisted
	}
	return nil, errNoSource
}

// Fetch brings one version of a package, exactly as Versions says it, and has its signature checked where verify isn't nil. It can be read
// for a day. Errors: an *[Unavailable] may be answered later; [ErrNoVersion], [ErrUnsigned], an *[Invalid] and all others last.
func (f *Fetcher) Fetch(ctx context.Context, from v1alpha1.PackageSource, version string, credentials Credentials, verify *Verification) (*Package, error) {
	p, err := f.fetch(ctx, from, version, credentials, verify)
	if err != nil {
		return nil, classify(err)
	}
	return p, nil
}

func (f *Fetcher) fetch(ctx context.Context, from v1alpha1.PackageSource, version string, credentials Credentials, verify *Verification) (p *Package, err error) {
	if verify != nil && from.OCI == nil && (from.Chart == nil || !isRegistry(from.Chart.Repository)) {
		return nil, fmt.Errorf("%w: signatures are looked for in registries only: take the package from one (oci://), or remove spec.verify", ErrUnsigned)
	}
	switch {
	case from.OCI != nil:
		p, err = f.registryPackage(ctx, from.OCI.URL, version, credentials, verify)
	case from.Git != nil:
		p, err = f.gitPackage(ctx, *from.Git, version, credentials)
	case from.Chart != nil && isRegistry(from.Chart.Repository):
		p, err = f.registryChart(ctx, *from.Chart, version, credentials, verify)
	case from.Chart != nil:
		p, err = f.chartPackage(ctx, *from.Chart, version, credentials)
	case from.Manifests != nil:
		p, err = f.manifestsPackage(ctx, *from.Manifests, version, credentials)
	default:
		return nil, errNoSource
	}
	if err != nil {
		return nil, err
	}
	if !sameVersion(p.Manifest.Version, version) {
		return nil, fmt.Errorf("%s says that it is version %s of %s, and not %s: publish it under the version that it has", p.URL, p.Manifest.Version, p.Manifest.Name, version)
	}
	return p, f.keep()
}

var errNoSource = errors.New("the source isn't one that packages are fetched from: set oci, git, chart or manifests")

const (
	// keptFor is how long a package can be read after it was fetched: far longer than it takes to make a plan of it.
	keptFor = 24 * time.Hour
	// tidiedEach is the pause between two looks for packages that nobody needs any more.
	tidiedEach = time.Hour
)

// remember keeps a snapshot from being cleaned up.
func (f *Fetcher) remember(digest string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used[digest] = f.now()
}

// keep cleans the store from time to time.
func (f *Fetcher) keep() error {
	f.mu.Lock()
	now := f.now()
	if now.Sub(f.tidy) < tidiedEach {
		f.mu.Unlock()
		return nil
	}
	f.tidy = now
	var kept []string
	for digest, at := range f.used {
		if now.Sub(at) > keptFor {
			delete(f.used, digest)
			continue
		}
		kept = append(kept, digest)
	}
	f.mu.Unlock()
	slices.Sort(kept)
	if err := f.store.Retain(kept...); err != nil {
		return fmt.Errorf("clean the store of packages: %w", err)
	}
	return nil
}

// allows says whether a registry may answer without TLS.
func (f *Fetcher) allows(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.Contains(f.insecure, u.Host)
}
