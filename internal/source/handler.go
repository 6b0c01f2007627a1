package source

import (
	"fmt"
	"net/http"
	"strings"
)

// ArtifactPath is where Handler serves a snapshot, relative to its root:
// KIND/NAMESPACE/NAME/<64 hex>.tar.gz, with the kind in lower case.
func ArtifactPath(kind, namespace, name, digest string) string {
	return fmt.Sprintf("%s/%s/%s/%s.tar.gz", strings.ToLower(kind), namespace, name, strings.TrimPrefix(digest, "sha256:"))
}

// Handler serves the snapshots of a store as tar.gz, for Flux's own controllers
// and other consumers of an artifact's URL. The digest in the path is what opens
// the door: who doesn't know it finds nothing, and nothing is listed.
func Handler(store *Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{kind}/{namespace}/{name}/{file}", func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutSuffix(r.PathValue("file"), ".tar.gz")
		if !ok {
			http.NotFound(w, r)
			return
		}
		snap, ok := store.Get("sha256:" + name)
		if !ok {
			http.NotFound(w, r)
			return
		}
		serveSnapshot(w, r, snap)
	})
	return mux
}

func serveSnapshot(w http.ResponseWriter, r *http.Request, snap *Snapshot) {
	etag := `"` + snap.Digest() + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Length", fmt.Sprint(snap.Size()))
	if r.Method == http.MethodHead {
		return
	}
	if err := snap.WriteArchive(w); err != nil {
		// The length was promised already: break the connection rather than
		// let a short archive look whole.
		panic(http.ErrAbortHandler)
	}
}
