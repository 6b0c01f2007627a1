package pack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/source"
)

const (
	// maxIndex is the size of the largest index that is read, in bytes; public ones with thousands of versions have some twenty million.
	maxIndex = 64 << 20
	// maxEntry is the size of what an index may say of one chart, and of the whole of one that isn't written as Helm writes it.
	maxEntry = 8 << 20
)

// chartURL is where a registry has a chart.
func chartURL(from v1alpha1.ChartSource) string {
	return strings.TrimSuffix(from.Repository, "/") + "/" + from.Name
}

// release is one version of a chart in an index.
type release struct {
	Version string    `json:"version"`
	Created time.Time `json:"created"`
	Digest  string    `json:"digest"`
	URLs    []string  `json:"urls"`
}

// index is what a Helm repository said of one chart.
type index struct {
	etag     string
	releases []release
}

// indexes are the answers of repositories, to be asked for again only if they have changed.
type indexes struct {
	mu  sync.Mutex
	all map[string]index
}

// maxIndexes bounds the answers that are kept; those who are forgotten are asked in full again.
const maxIndexes = 512

func (i *indexes) get(key string) index {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.all[key]
}

func (i *indexes) put(key string, found index) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.all) >= maxIndexes {
		clear(i.all)
	}
	i.all[key] = found
}

// chartVersions lists the versions of a chart in a Helm repository.
func (f *Fetcher) chartVersions(ctx context.Context, from v1alpha1.ChartSource, credentials Credentials) ([]Available, error) {
	releases, err := f.releases(ctx, from, credentials)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(releases))
	about := map[string]release{}
	for _, r := range releases {
		names = append(names, r.Version)
		if v, ok := parseVersion(r.Version); ok {
			about[v.String()] = r
		}
	}
	all := available(names)
	for i, a := range all {
		all[i].Published = about[a.Version].Created
		if digest := digestOf(about[a.Version]); digest != "" {
			all[i].Digest = v1alpha1.Digest(digest)
		}
	}
	return all, nil
}

// chartPackage brings a chart of a Helm repository.
func (f *Fetcher) chartPackage(ctx context.Context, from v1alpha1.ChartSource, version string, credentials Credentials) (*Package, error) {
	releases, err := f.releases(ctx, from, credentials)
	if err != nil {
		return nil, err
	}
	for _, r := range releases {
		if sameVersion(r.Version, version) {
			return f.chartRelease(ctx, from, r, credentials)
		}
	}
	return nil, fmt.Errorf("%w: %s has no chart %s in version %s", ErrNoVersion, from.Repository, from.Name, version)
}

func (f *Fetcher) chartRelease(ctx context.Context, from v1alpha1.ChartSource, r release, credentials Credentials) (*Package, error) {
	home, err := parseAddress(from.Repository, "the source's repository")
	if err != nil {
		return nil, err
	}
	if len(r.URLs) == 0 {
		return nil, fmt.Errorf("the index of %s names no address for %s %s", shown(home), from.Name, r.Version)
	}
	home.Path = strings.TrimSuffix(home.Path, "/") + "/"
	address, err := home.Parse(r.URLs[0])
	if err != nil || address.Scheme != "https" && address.Scheme != "http" || home.Scheme == "https" && address.Scheme == "http" {
		return nil, fmt.Errorf("the index of %s names an address for %s %s that can't be used: it must be http(s), and https where the repository is", shown(home), from.Name, r.Version)
	}
	address.User = nil
	snap, digest, err := f.chartTree(ctx, question{address: address, home: home, credentials: credentials, digest: digestOf(r), limits: limits()})
	if err != nil {
		return nil, err
	}
	f.remember(snap.Digest())
	p, err := openChart(ctx, f.store, snap.FS())
	if err != nil {
		return nil, err
	}
	p.URL, p.Digest, p.Published = shown(address), v1alpha1.Digest(digest), r.Created
	return p, nil
}

// chartTree brings what is in a packed chart, and its digest. What an index has pinned isn't fetched again; that counts for the repository that
// has the index, and for its login, only: whoever writes an index may name in it what is behind somebody else's.
func (f *Fetcher) chartTree(ctx context.Context, q question) (*source.Snapshot, string, error) {
	key := strings.Join([]string{"chart", shown(q.address), q.digest, q.home.String(), q.credentials.id()}, "\x00")
	if q.digest != "" {
		if snap, known := f.store.Recall(key); known {
			return snap, q.digest, nil
		}
	}
	d, _, err := f.web.get(ctx, q)
	if err != nil {
		return nil, "", err
	}
	defer d.Discard()
	snap, err := d.Unpack(ctx, source.UnpackOptions{Revision: d.Digest(), KeepAll: true, Strict: true})
	if err != nil || q.digest == "" {
		return snap, d.Digest(), err
	}
	return snap, d.Digest(), f.store.Remember(key, snap)
}

// digestOf is what the index says of the chart's bytes, as sha256:…; empty where it says nothing that can be held against them.
func digestOf(r release) string {
	hex := strings.TrimPrefix(r.Digest, "sha256:")
	if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return ""
	}
	return "sha256:" + hex
}

// openChart makes a package of a packed chart alone.
func openChart(ctx context.Context, store *source.Store, tree fs.FS) (*Package, error) {
	root, err := soleFolder(tree)
	if err != nil {
		return nil, invalid("", "", "%v", err)
	}
	p := &Package{files: root, store: store, chart: "."}
	c, err := p.loadChart(ctx)
	if err != nil {
		return nil, err
	}
	p.Manifest = Manifest{
		APIVersion: APIVersion, Kind: Kind, Name: c.Name(), Version: strings.TrimPrefix(c.Version(), "v"), Description: c.Description(), KubeVersion: c.KubeVersion(),
	}
	return p, nil
}

var errNoIndex = errors.New("it is no index of a Helm repository")

// releases asks a Helm repository for all versions of a chart.
func (f *Fetcher) releases(ctx context.Context, from v1alpha1.ChartSource, credentials Credentials) ([]release, error) {
	home, err := parseAddress(from.Repository, "the source's repository")
	if err != nil {
		return nil, err
	}
	address := *home
	address.Path = strings.TrimSuffix(address.Path, "/") + "/index.yaml"
	key := strings.Join([]string{address.String(), from.Name, credentials.id()}, "\x00")
	known := f.web.known.get(key)
	d, etag, err := f.web.get(ctx, question{
		address: &address, home: home, credentials: credentials, etag: known.etag, limits: source.Limits{MaxPackBytes: maxIndex},
	})
	if errors.Is(err, errUnchanged) {
		return known.releases, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	file, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	releases, err := readIndex(file, from.Name)
	if err != nil {
		return nil, fmt.Errorf("the index of %s can't be read: %w", shown(home), err)
	}
	if releases == nil {
		return nil, fmt.Errorf("%w: %s has no chart %s", ErrNoVersion, shown(home), from.Name)
	}
	f.web.known.put(key, index{etag: etag, releases: releases})
	return releases, nil
}

// readIndex finds what an index says of one chart; nil for nothing. An index may be large and name hundreds of charts, so only the lines
// about this one are parsed, where they stand as Helm writes them; else all of it is, if it isn't large.
func readIndex(file io.ReadSeeker, name string) ([]release, error) {
	entry, found, err := entryOf(file, name)
	if err != nil {
		return nil, err
	}
	if !found {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if entry, err = io.ReadAll(io.LimitReader(file, maxEntry+1)); err != nil {
			return nil, err
		}
		if len(entry) > maxEntry {
			return nil, fmt.Errorf("it is not written as Helm writes it, and has more than %d bytes", maxEntry)
		}
	}
	var whole struct {
		Entries map[string][]release `json:"entries"`
	}
	if err := yaml.Unmarshal(entry, &whole); err != nil {
		return nil, errNoIndex
	}
	return whole.Entries[name], nil
}

// entryOf gives the lines about one chart, as an index with nothing else. They are found by how deep they are indented: entries are at the
// margin, charts two deeper, and their versions as deep or deeper. It is false where the index isn't written so.
func entryOf(file io.Reader, name string) (entry []byte, regular bool, err error) {
	s := scan{name: name}
	s.out.WriteString("entries:\n")
	lines := bufio.NewReaderSize(file, 64<<10)
	for goesOn := false; ; {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		if !goesOn && s.line(string(line)) || errors.Is(err, io.EOF) && len(line) == 0 {
			return s.out.Bytes(), s.indent != "", nil
		}
		if s.found {
			if s.out.Len()+len(line) > maxEntry {
				return nil, false, fmt.Errorf("it says more than %d bytes of %s", maxEntry, name)
			}
			s.out.Write(line)
		}
		goesOn = long
	}
}

// scan looks for one chart in the lines of an index.
type scan struct {
	name      string
	inEntries bool
	indent    string // of the names of charts; empty until the first
	found     bool
	out       bytes.Buffer
}

// line looks at the beginning of a line, and says whether all was seen that is about the chart.
func (s *scan) line(text string) (done bool) {
	text = strings.TrimRight(text, "\r\n")
	bare := strings.TrimLeft(text, " ")
	margin := text[:len(text)-len(bare)]
	if bare == "" || strings.HasPrefix(bare, "-") || strings.HasPrefix(bare, "#") {
		return false
	}
	switch {
	case !s.inEntries:
		s.inEntries = margin == "" && bare == "entries:"
	case margin == "":
		return true // what comes after the entries
	case s.indent == "", margin == s.indent:
		if s.found {
			return true // the next chart
		}
		s.indent = margin
		s.found = bare == s.name+":" || bare == `"`+s.name+`":`
	}
	return false
}
