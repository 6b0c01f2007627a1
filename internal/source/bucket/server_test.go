package bucket_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/slipway-dev/slipway/internal/lab/s3server"
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

// simple is a server in this process, which checks no signatures, can be looked into, and can be told to misbehave.
type simple struct{ *s3server.Server }

func newSimple(t *testing.T) simple {
	t.Helper()
	s := simple{s3server.Start("files")}
	s.Page = 3
	t.Cleanup(s.Close)
	return s
}

func (s simple) put(_ *testing.T, key, content string) { s.Put(key, content) }
func (s simple) remove(_ *testing.T, key string)       { s.Remove(key) }
func (s simple) asked() []string                       { return s.Asked() }

func (s simple) request(*testing.T) bucket.Request {
	return bucket.Request{Endpoint: s.Address(), Name: "files", Insecure: true, Region: "us-east-1"}
}

func fail(w http.ResponseWriter, status int, code string) { s3server.Fail(w, status, code, accessKey) }

func etagOf(content string) string { return s3server.ETag(content) }

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
	deadline, tick := time.After(2*time.Minute), time.NewTicker(50*time.Millisecond)
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
