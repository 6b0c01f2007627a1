package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-dev/slipway/internal/lab/lockfile"
)

// Cache keeps executables and builds those that it doesn't have.
type Cache struct {
	dir      string
	checkout string
	progress func(Progress)
}

// Progress is how far a build is.
type Progress struct {
	Program string
	// Compiled is how many packages have been compiled so far; those that Go's own cache has are not among them.
	Compiled int
	// Total is how many packages the program consists of: an upper bound of Compiled. 0: not known yet.
	Total int
	// Done says that the build has ended.
	Done bool
}

// Option changes a Cache.
type Option func(*Cache)

// WithProgress has builds report how far they are, from one goroutine at a time.
func WithProgress(report func(Progress)) Option {
	return func(c *Cache) { c.progress = report }
}

// WithFolder keeps the executables in dir instead of slipway/lab in the user's cache folder.
func WithFolder(dir string) Option {
	return func(c *Cache) { c.dir = dir }
}

// WithCheckout builds from the checkout in dir instead of the one around the working folder or the running executable.
func WithCheckout(dir string) Option {
	return func(c *Cache) { c.checkout = dir }
}

// NewCache returns the cache of the user who runs this.
func NewCache(options ...Option) (*Cache, error) {
	c := &Cache{progress: func(Progress) {}}
	for _, option := range options {
		option(c)
	}
	if c.dir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the cache folder: %w; set HOME or XDG_CACHE_HOME", err)
		}
		c.dir = filepath.Join(home, "slipway", "lab")
	}
	if c.checkout == "" {
		from := []string{"."}
		if self, err := os.Executable(); err == nil {
			from = append(from, filepath.Dir(self))
		}
		checkout, err := Checkout(from...)
		if err != nil {
			return nil, err
		}
		c.checkout = checkout
	}
	return c, nil
}

// Path is where the program is or would be kept.
func (c *Cache) Path(p Program) (string, error) {
	s, err := p.source(c.checkout)
	if err != nil {
		return "", err
	}
	return filepath.Join(c.dir, s.folder(), p.Name), nil
}

// Version is the version of the program's Versioned dependency, with the leading v.
func (c *Cache) Version(p Program) (string, error) {
	s, err := p.source(c.checkout)
	return s.version, err
}

// Get returns the path of the executable and builds it first if need be. When several processes need it at the same time, one
// builds and the others wait for it.
func (c *Cache) Get(ctx context.Context, p Program) (string, error) {
	s, err := p.source(c.checkout)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, s.folder(), p.Name)
	if executable(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make folder for %s: %w", p.Name, err)
	}
	lock, err := lockfile.Acquire(ctx, path+".lock")
	if err != nil {
		return "", fmt.Errorf("wait for another build of %s: %w", p.Name, err)
	}
	defer lock.Remove()
	if executable(path) {
		return path, nil
	}
	return path, c.build(ctx, p, s, path)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
