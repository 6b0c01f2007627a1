package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxManifest bounds a manifest's size in bytes; registries in use accept 4 MiB.
const maxManifest = 4 << 20

// record is one manifest as it is kept on disk, once under its digest and once
// under each tag: DIR/REPOSITORY/REFERENCE, both escaped as in a URL's path.
type record struct {
	MediaType string `json:"mediaType"`
	Manifest  []byte `json:"manifest"`
}

// manifests records each manifest that the registry behind it accepts.
type manifests struct {
	next http.Handler
	dir  string
	mu   sync.Mutex // one write at a time, so that disk and memory agree on a tag
}

// newManifests hands next what was recorded in dir before.
func newManifests(dir string, next http.Handler) (*manifests, error) {
	m := &manifests{next: next, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for manifests: %w", err)
	}
	if err := m.replay(); err != nil {
		return nil, fmt.Errorf("read the recorded manifests: %w", err)
	}
	return m, nil
}

// ServeHTTP answers from next; accepted changes of manifests are recorded
// before the client hears of them.
func (m *manifests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repo, ref, ok := manifestPath(r.URL.Path)
	if !ok || (r.Method != http.MethodPut && r.Method != http.MethodDelete) {
		m.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, "a manifest may have 4 MiB at most", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))

	m.mu.Lock()
	defer m.mu.Unlock()
	answer := httptest.NewRecorder()
	m.next.ServeHTTP(answer, r)
	switch answer.Code {
	case http.StatusCreated:
		err = m.record(repo, ref, record{MediaType: r.Header.Get("Content-Type"), Manifest: body})
	case http.StatusAccepted:
		err = os.Remove(m.file(repo, ref))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		http.Error(w, "record the manifest: "+err.Error(), http.StatusInternalServerError)
		return
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // a client that left needs no answer
}

// manifestPath splits /v2/REPO/manifests/REF.
func manifestPath(path string) (repo, ref string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return "", "", false
	}
	at := strings.LastIndex(rest, "/manifests/")
	if at <= 0 {
		return "", "", false
	}
	repo, ref = rest[:at], rest[at+len("/manifests/"):]
	return repo, ref, ref != "" && !strings.Contains(ref, "/") && ref != "." && ref != ".." && repo != "." && repo != ".."
}

func (m *manifests) file(repo, ref string) string {
	return filepath.Join(m.dir, url.PathEscape(repo), url.PathEscape(ref))
}

func (m *manifests) record(repo, ref string, rec record) error {
	digest, _, err := v1.SHA256(bytes.NewReader(rec.Manifest))
	if err != nil {
		return err
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	for _, name := range []string{digest.String(), ref} {
		if err := writeFile(m.file(repo, name), text); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces a file as a whole: a reader sees the old or the new bytes.
func writeFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), unfinished+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // a no-op after the rename
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// unfinished starts the names of files that are being written. No tag and no
// digest may start with it.
const unfinished = "-"
