package delivery_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// trickler is a host of all kinds of sources that answers at once and then sends a byte a second, or none, for ever. What is below /good/ is
// the world's Git server.
type trickler struct {
	*httptest.Server
	begun, open atomic.Int64
}

func newTrickler(w *world, bytes bool) *trickler {
	w.Helper()
	at, err := url.Parse(w.repo.URL())
	if err != nil {
		w.Fatal(err)
	}
	good := http.StripPrefix("/good", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: at.Scheme, Host: at.Host}) }})
	s := &trickler{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/good/"):
			good.ServeHTTP(rw, r)
			return
		case r.URL.Path == "/v2/":
			return
		}
		s.begun.Add(1)
		s.open.Add(1)
		defer s.open.Add(-1)
		trickle(rw, r, bytes)
	}))
	w.Cleanup(s.Close)
	return s
}

// trickle answers a request, and returns when the other side hangs up.
func trickle(rw http.ResponseWriter, r *http.Request, bytes bool) {
	kind := "application/xml"
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		kind = "application/x-git-upload-pack-advertisement"
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		kind = "application/vnd.oci.image.manifest.v1+json"
	}
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n", kind)
	for err == nil {
		if bytes {
			if _, err = conn.Write([]byte(" ")); err != nil {
				return
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err = io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
			continue
		}
		return // hung up
	}
}

// TestServersThatTrickle has a source of each kind at a server that begins to answer and never ends. Its timeout ends each fetch, other sources
// of the same host and of others go on meanwhile, and no connection is left.
func TestServersThatTrickle(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]bool{"a byte a second": true, "nothing after the headers": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
			s := newTrickler(w, bytes)
			host := strings.TrimPrefix(s.URL, "http://")
			w.create(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: w.Namespace}, StringData: map[string]string{"accesskey": "key", "secretkey": "secret"},
			})
			about := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: w.Namespace} }
			hour, timeout := metav1.Duration{Duration: time.Hour}, &metav1.Duration{Duration: 3 * time.Second}
			git := &sourcev1.GitRepository{ObjectMeta: about("git"), Spec: sourcev1.GitRepositorySpec{URL: s.URL + "/x.git", Interval: hour, Timeout: timeout}}
			image := &sourcev1.OCIRepository{
				ObjectMeta: about("image"), Spec: sourcev1.OCIRepositorySpec{URL: "oci://" + host + "/x", Insecure: true, Interval: hour, Timeout: timeout},
			}
			bucket := &sourcev1.Bucket{ObjectMeta: about("bucket"), Spec: sourcev1.BucketSpec{
				Endpoint: host, Insecure: true, BucketName: "files", Region: "us-east-1", Interval: hour, Timeout: timeout,
				SecretRef: &meta.LocalObjectReference{Name: "keys"},
			}}
			for _, obj := range []client.Object{git, image, bucket} {
				w.create(obj)
			}
			w.poll("all three are being fetched", func() bool { return s.begun.Load() >= 3 }, &s.begun)
			near := w.source(func(r *sourcev1.GitRepository) {
				at, _ := url.Parse(w.repo.URL())
				r.Name, r.Spec.URL = "near", s.URL+"/good"+at.Path
			})
			w.stored(near, revision)
			w.stored(w.source(), revision)

			for _, obj := range []client.Object{git, image, bucket} {
				until(w, obj, "its timeout has ended the fetch", func() bool {
					c := ready(conditionsOf(obj))
					return c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "spec.timeout")
				})
				before := obj.DeepCopyObject().(client.Object)
				suspend(obj)
				if err := w.client.Patch(t.Context(), obj, client.MergeFrom(before)); err != nil {
					t.Fatal(err)
				}
			}
			w.poll("no connection is left", func() bool { return s.open.Load() == 0 }, &s.open)
		})
	}
}

func conditionsOf(obj client.Object) []metav1.Condition {
	switch o := obj.(type) {
	case *sourcev1.GitRepository:
		return o.Status.Conditions
	case *sourcev1.OCIRepository:
		return o.Status.Conditions
	case *sourcev1.Bucket:
		return o.Status.Conditions
	}
	return nil
}

func suspend(obj client.Object) {
	switch o := obj.(type) {
	case *sourcev1.GitRepository:
		o.Spec.Suspend = true
	case *sourcev1.OCIRepository:
		o.Spec.Suspend = true
	case *sourcev1.Bucket:
		o.Spec.Suspend = true
	}
}
