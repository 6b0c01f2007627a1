package bucket_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // as S3 has it
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/slipway-dev/slipway/internal/source/bucket"
)

// server is an S3 server with one bucket.
type server interface {
	put(t *testing.T, key, content string)
	remove(t *testing.T, key string)
	request(t *testing.T) bucket.Request
	// asked returns what was asked for since it was last called, if it can be known.
	asked() []string
}

const (
	accessKey = "AKIAPLANTED000000000"
	secretKey = "planted-secret-key-77aa"
)

// simple is as much of an S3 server as a fetch needs, in this process. It checks no signatures, and can be told to misbehave.
type simple struct {
	*httptest.Server

	page int // keys in a page
	// hook answers in its place where it returns true.
	hook func(w http.ResponseWriter, r *http.Request) bool

	mu      sync.Mutex
	objects map[string]string
	log     []string
}

func newSimple(t *testing.T) *simple {
	t.Helper()
	s := &simple{page: 3, objects: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *simple) put(_ *testing.T, key, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = content
}

func (s *simple) remove(_ *testing.T, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

func (s *simple) request(*testing.T) bucket.Request {
	return bucket.Request{Endpoint: s.Listener.Addr().String(), Name: "files", Insecure: true, Region: "us-east-1"}
}

func (s *simple) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.log
	s.log = nil
	return all
}

func etagOf(content string) string {
	sum := md5.Sum([]byte(content)) //nolint:gosec // as S3 has it
	return hex.EncodeToString(sum[:])
}

func (s *simple) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/files/")
	isList := r.URL.Query().Has("list-type")
	if isList {
		s.log = append(s.log, "LIST "+r.URL.Query().Get("prefix"))
	} else {
		s.log = append(s.log, "GET "+key)
	}
	if s.hook != nil && s.hook(w, r) {
		return
	}
	switch {
	case !strings.HasPrefix(r.URL.Path, "/files/"):
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case isList:
		s.list(w, r)
	default:
		content, ok := s.objects[key]
		if !ok {
			fail(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", `"`+etagOf(content)+`"`)
		w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		if r.Header.Get("If-None-Match") == `"`+etagOf(content)+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(content))
	}
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

func (s *simple) list(w http.ResponseWriter, r *http.Request) {
	out, after := page{Name: "files"}, r.URL.Query().Get("continuation-token")
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, r.URL.Query().Get("prefix")) || after != "" && key <= after {
			continue
		}
		if len(out.Contents) == s.page {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[s.page-1].Key
			break
		}
		out.Contents = append(out.Contents, contents{
			Key: key, ETag: `"` + etagOf(s.objects[key]) + `"`, Size: len(s.objects[key]), LastModified: "2026-01-01T00:00:00.000Z",
		})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s %s</Message></Error>", code, code, accessKey)
}

// gateway is versitygw, a whole S3 server, as a process of its own.
type gateway struct {
	endpoint string
	client   *minio.Client
}

// gatewayBinary builds versitygw, once per machine.
var gatewayBinary = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "run", "./upstream", "versitygw")
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join("..", "..", "..", "tools"), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build versitygw: %w\n%s", err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
})

func newGateway(t *testing.T) *gateway {
	t.Helper()
	binary, err := gatewayBinary()
	if err != nil {
		t.Fatal(err)
	}
	port, dir := freePort(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "--access", accessKey, "--secret", secretKey, "--port", "127.0.0.1:"+strconv.Itoa(port), "--quiet", //nolint:noctx // ended below
		"posix", "--sidecar", t.TempDir(), dir)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &log, &log, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("versitygw: %s", log.String())
		}
	})
	g := &gateway{endpoint: "127.0.0.1:" + strconv.Itoa(port)}
	g.client, err = minio.New(g.endpoint, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	deadline, tick := time.After(30*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := g.client.BucketExists(t.Context(), "files"); err == nil && ok {
			return g
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("versitygw never answers")
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (g *gateway) put(t *testing.T, key, content string) {
	t.Helper()
	_, err := g.client.PutObject(t.Context(), "files", key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) remove(t *testing.T, key string) {
	t.Helper()
	if err := g.client.RemoveObject(t.Context(), "files", key, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) request(t *testing.T) bucket.Request {
	t.Helper()
	return bucket.Request{Endpoint: g.endpoint, Name: "files", Insecure: true, Access: access(t, bucket.Secrets{
		Keys: map[string][]byte{"accesskey": []byte(accessKey), "secretkey": []byte(secretKey)},
	})}
}

func (g *gateway) asked() []string { return nil }

func access(t *testing.T, s bucket.Secrets) bucket.Access {
	t.Helper()
	a, err := bucket.AccessFromSecrets(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
