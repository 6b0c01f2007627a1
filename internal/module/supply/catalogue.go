package supply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/wanted"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// catalogues fetches catalogues from registries and Git. What was fetched is kept as long as it is the newest.
type catalogues struct {
	store    *source.Store
	registry *oci.Client
	git      *source.Git
	insecure []string
}

func newCatalogues(dir string, s Settings) (*catalogues, error) {
	store, err := source.NewStore(dir, source.WithClock(s.Now))
	if err != nil {
		return nil, fmt.Errorf("open the store of catalogues: %w", err)
	}
	opts := []source.GitOption{source.GitClock(s.Now)}
	if s.AllowFile {
		opts = append(opts, source.AllowFile())
	}
	return &catalogues{store: store, registry: oci.NewClient(store, oci.Clock(s.Now)), git: source.NewGit(store, opts...), insecure: s.Insecure}, nil
}

func (c *catalogues) close() {
	c.registry.Close()
	c.git.Close()
}

// catalogued is the version that the Module's catalogue says.
func (s *Shelf) catalogued(ctx context.Context, m *v1alpha1.Module, c v1alpha1.Catalogue) (string, error) {
	content, err := s.catalogue(ctx, m, c)
	if err != nil {
		return "", err
	}
	parsed, err := wanted.ParseCatalogue(content)
	if err != nil {
		return "", fmt.Errorf("the catalogue can't be used: %w", err)
	}
	version, ok := parsed.Version(m.Name, c.Channel)
	if !ok {
		return "", errors.New(parsed.Missing(m.Name, c.Channel))
	}
	return version, nil
}

func (s *Shelf) catalogue(ctx context.Context, m *v1alpha1.Module, c v1alpha1.Catalogue) ([]byte, error) {
	switch {
	case c.ConfigMap != nil:
		config := &corev1.ConfigMap{}
		if err := s.read(ctx, "ConfigMap", c.ConfigMap.Name, config); err != nil {
			return nil, err
		}
		text, ok := config.Data[wanted.CatalogueFile]
		if !ok {
			return nil, fmt.Errorf("ConfigMap %s/%s has no key %s: add it", s.Namespace, c.ConfigMap.Name, wanted.CatalogueFile)
		}
		return []byte(text), nil
	case c.OCI != nil:
		credentials, err := s.credentialsOf(ctx, m, c.OCI.SecretRef)
		if err != nil {
			return nil, err
		}
		return s.catalogues.fromRegistry(ctx, c.OCI.URL, credentials)
	case c.Git != nil:
		credentials, err := s.credentialsOf(ctx, m, c.Git.SecretRef)
		if err != nil {
			return nil, err
		}
		return s.catalogues.fromGit(ctx, *c.Git, credentials.Secret)
	}
	return nil, errors.New("spec.catalogue names no catalogue: set configMap, oci or git")
}

func (c *catalogues) fromRegistry(ctx context.Context, url string, credentials pack.Credentials) ([]byte, error) {
	auth, err := credentials.Registry()
	if err != nil {
		return nil, fmt.Errorf("the catalogue's Secret can't be used: %w", err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(url, sourcev1.OCIRepositoryPrefix), "/")
	result, err := c.registry.Fetch(ctx, oci.Request{
		URL: url, Auth: auth, Insecure: slices.Contains(c.insecure, host), Ref: &sourcev1.OCIRepositoryRef{Tag: "latest"}, Limits: catalogueLimits(),
	})
	if err != nil {
		return nil, away(err)
	}
	return c.file(result.Snapshot, wanted.CatalogueFile)
}

func (c *catalogues) fromGit(ctx context.Context, from v1alpha1.GitSource, secret map[string][]byte) ([]byte, error) {
	auth, err := source.AuthFromSecret(secret, from.URL)
	if err != nil {
		return nil, fmt.Errorf("the catalogue's Secret can't be used: %w", err)
	}
	file := path.Join("/", from.Path, wanted.CatalogueFile)[1:]
	request := source.GitRequest{
		URL: from.URL, Auth: auth, Ref: &sourcev1.GitRepositoryRef{Name: "HEAD"}, Ignore: new(allBut(file)), Limits: catalogueLimits(),
	}
	request.Limits.MaxPackBytes = 0 // the catalogue may be in a large repository
	snap, err := c.git.Fetch(ctx, request, "")
	if err != nil {
		return nil, away(err)
	}
	return c.file(snap, file)
}

// allBut are the rules that leave everything out but one file: of each folder on the way to it all but the next part.
func allBut(file string) string {
	var rules strings.Builder
	at := "/"
	for part := range strings.SplitSeq(file, "/") {
		part = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(part)
		rules.WriteString(at + "*\n!" + at + part + "\n")
		at += part + "/"
	}
	return rules.String()
}

// catalogueLimits bound what is fetched and kept for one file, with some room for others beside it. That the file itself is too large is
// said where it is read.
func catalogueLimits() source.Limits {
	return source.Limits{MaxTreeBytes: 8 * wanted.MaxCatalogue, MaxFileBytes: 4 * wanted.MaxCatalogue, MaxDepth: 32, MaxPackBytes: 8 * wanted.MaxCatalogue}
}

// away says of an error whether it may be gone later. A source tells by its reason.
func away(err error) error {
	var typed *source.Error
	if !errors.As(err, &typed) {
		return &plan.Unavailable{Err: fmt.Errorf("fetch the catalogue: %w", err)}
	}
	switch typed.Reason {
	case oci.ReasonPull, oci.ReasonTags, source.ReasonGitOperationFailed, source.ReasonDownloadFailed, source.ReasonStorageOperationFailed:
		return &plan.Unavailable{Err: fmt.Errorf("fetch the catalogue: %w", err)}
	}
	return fmt.Errorf("fetch the catalogue: %w", err)
}

// file reads a file of a tree, and lets go of all others.
func (c *catalogues) file(snap *source.Snapshot, name string) ([]byte, error) {
	file, err := snap.FS().Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the catalogue has no file %s: add it", name)
	}
	if err != nil {
		return nil, &plan.Unavailable{Err: fmt.Errorf("read the catalogue: %w", err)}
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, wanted.MaxCatalogue+1))
	if err != nil {
		return nil, &plan.Unavailable{Err: fmt.Errorf("read the catalogue: %w", err)}
	}
	return content, nil
}
