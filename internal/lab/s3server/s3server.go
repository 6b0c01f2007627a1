// Package s3server is as much of an S3 server as reading a bucket needs, in this process, for tests: its region, listing in pages and
// downloads. It checks no signatures, and can be told to misbehave.
package s3server

import (
	"crypto/md5" //nolint:gosec // as S3 has it
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a server with one bucket.
type Server struct {
	// Page is how many keys a page of a list has. Default 1000. Set it before the first request.
	Page int
	// Hook answers a request in the server's place where it returns true. It is called with the objects, by key, which it may change.
	// Set it while no request is under way.
	Hook func(w http.ResponseWriter, r *http.Request, objects map[string]string) bool

	http   *httptest.Server
	bucket string

	mu      sync.Mutex
	objects map[string]string
	asked   []string
}

// Start runs a server with an empty bucket until Close.
func Start(bucket string) *Server {
	s := &Server{Page: 1000, bucket: bucket, objects: map[string]string{}}
	s.http = httptest.NewServer(s)
	return s
}

// Close ends the server.
func (s *Server) Close() { s.http.Close() }

// Address is its HOST:PORT. It speaks plain HTTP.
func (s *Server) Address() string { return s.http.Listener.Addr().String() }

// Put stores an object.
func (s *Server) Put(key, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = content
}

// Remove removes one.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

// Asked returns what was asked for since it was last called, as "LOCATION", "LIST PREFIX" and "GET KEY".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

// ETag is the entity tag of an object with that content, without quotes.
func ETag(content string) string {
	sum := md5.Sum([]byte(content)) //nolint:gosec // as S3 has it
	return hex.EncodeToString(sum[:])
}

// IsList tells whether a request is for a list of objects.
func IsList(r *http.Request) bool { return r.URL.Query().Has("list-type") }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, inBucket := strings.CutPrefix(r.URL.Path, "/"+s.bucket+"/")
	location := r.URL.Query().Has("location")
	switch {
	case location:
		s.asked = append(s.asked, "LOCATION")
	case IsList(r):
		s.asked = append(s.asked, "LIST "+r.URL.Query().Get("prefix"))
	default:
		s.asked = append(s.asked, "GET "+key)
	}
	content, there := s.objects[key]
	switch {
	case s.Hook != nil && s.Hook(w, r, s.objects):
	case !inBucket:
		Fail(w, http.StatusNotFound, "NoSuchBucket", "")
	case location: // the first region there was has no name
		_, _ = w.Write([]byte("<LocationConstraint/>")) // who hangs up doesn't read it
	case IsList(r):
		s.list(w, r)
	case !there:
		Fail(w, http.StatusNotFound, "NoSuchKey", "")
	default:
		Give(w, r, content)
	}
}

// Give answers with an object.
func Give(w http.ResponseWriter, r *http.Request, content string) {
	tag := `"` + ETag(content) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(content)) // who hangs up doesn't read it
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s %s</Message></Error>", code, code, message)
}

type contents struct {
	Key, ETag, LastModified string
	Size                    int
}

type page struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []contents
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	out, after := page{Name: s.bucket}, r.URL.Query().Get("continuation-token")
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, r.URL.Query().Get("prefix")) || after != "" && key <= after {
			continue
		}
		if len(out.Contents) == s.Page {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[s.Page-1].Key
			break
		}
		out.Contents = append(out.Contents, contents{
			Key: key, ETag: `"` + ETag(s.objects[key]) + `"`, Size: len(s.objects[key]), LastModified: "2026-01-01T00:00:00.000Z",
		})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}
