package bucket_test

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/lab/s3server"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/bucket"
)

func newFetcher(t *testing.T) (*bucket.Fetcher, *source.Store) {
	t.Helper()
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := bucket.New(store)
	t.Cleanup(f.Close)
	return f, store
}

func fetch(t *testing.T, f *bucket.Fetcher, req bucket.Request, previous string) *source.Snapshot {
	t.Helper()
	snapshot, err := f.Fetch(t.Context(), req, previous)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func files(t *testing.T, s *source.Snapshot) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(s.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(s.FS(), name)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func reasonOf(err error) string {
	var typed *source.Error
	if !errors.As(err, &typed) {
		return fmt.Sprintf("%T", err)
	}
	return typed.Reason
}

// TestContract is what a fetch does with any S3 server: ours, which can be looked into, and a real one.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) server{
		"simple":    func(t *testing.T) server { t.Helper(); return newSimple(t) },
		"versitygw": func(t *testing.T) server { t.Helper(); return newGateway(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contract(t, start(t))
		})
	}
}

func contract(t *testing.T, s server) {
	t.Helper()
	f, _ := newFetcher(t)
	req := s.request(t)
	if got := files(t, fetch(t, f, req, "")); len(got) != 0 {
		t.Errorf("an empty bucket has %v", got)
	}
	want := map[string]string{"a.yaml": "a: 1\n", "deploy/b.yaml": "b: 1\n", "deploy/x/c d+é&.yaml": "c: 1\n", "picture.png": "pixels", "empty": ""}
	for key, content := range want {
		s.put(t, key, content)
	}
	first := fetch(t, f, req, "")
	if diff := cmp.Diff(want, files(t, first)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	lines := ""
	for _, key := range []string{"a.yaml", "deploy/b.yaml", "deploy/x/c d+é&.yaml", "empty", "picture.png"} {
		lines += key + " " + etagOf(want[key]) + "\n"
	}
	if revision := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(lines))); first.Revision() != revision {
		t.Errorf("revision %s, want Flux's %s", first.Revision(), revision)
	}

	s.asked()
	if again := fetch(t, f, req, first.Digest()); again.Digest() != first.Digest() || again.Revision() != first.Revision() {
		t.Errorf("nothing has changed, but %s@%s became %s@%s", first.Revision(), first.Digest(), again.Revision(), again.Digest())
	}
	if asked := s.asked(); slices.ContainsFunc(asked, func(a string) bool { return !strings.HasPrefix(a, "LIST") }) {
		t.Errorf("a bucket without changes costs %v, want lists alone", asked)
	}

	s.put(t, "a.yaml", "a: 2\n")
	s.remove(t, "deploy/b.yaml")
	want["a.yaml"] = "a: 2\n"
	delete(want, "deploy/b.yaml")
	s.asked()
	second := fetch(t, f, req, first.Digest())
	if diff := cmp.Diff(want, files(t, second)); diff != "" || second.Revision() == first.Revision() {
		t.Errorf("revision %s, files (-want +got):\n%s", second.Revision(), diff)
	}
	gets := slices.DeleteFunc(s.asked(), func(a string) bool { return strings.HasPrefix(a, "LIST") })
	if len(gets) > 0 && !slices.Equal(gets, []string{"GET a.yaml"}) {
		t.Errorf("one changed object costs %v", gets)
	}

	prefixed := req
	prefixed.Prefix = "deploy/"
	if diff := cmp.Diff(map[string]string{"deploy/x/c d+é&.yaml": "c: 1\n"}, files(t, fetch(t, f, prefixed, ""))); diff != "" {
		t.Errorf("with a prefix (-want +got):\n%s", diff)
	}
	ignoring := req
	ignoring.Ignore = new("*.png\n!keep.png\n")
	s.put(t, "keep.png", "kept")
	s.put(t, ".sourceignore", "empty\n/deploy\n")
	if diff := cmp.Diff(map[string]string{"a.yaml": "a: 2\n", "keep.png": "kept"}, files(t, fetch(t, f, ignoring, second.Digest()))); diff != "" {
		t.Errorf("with rules (-want +got):\n%s", diff)
	}
	prefixed.Prefix = "deploy/x"
	if got := files(t, fetch(t, f, prefixed, "")); len(got) != 0 {
		t.Errorf("the bucket's rules hold below a prefix too, but there are %v", got)
	}
	s.put(t, ".sourceignore", "a.yaml\n")
	if got := files(t, fetch(t, f, prefixed, "")); len(got) != 1 {
		t.Errorf("changed rules hold at once, but there are %v", got)
	}

	missing := req
	missing.Name = "no-such-bucket"
	if _, err := f.Fetch(t.Context(), missing, ""); reasonOf(err) != bucket.ReasonFailed || !strings.Contains(err.Error(), "no-such-bucket") {
		t.Errorf("a bucket that isn't there: %v", err)
	}
}

// TestWrongKeys is about signatures, which only the real server checks.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.put(t, "a.yaml", "a")
	f, _ := newFetcher(t)
	for name, keys := range map[string]map[string][]byte{
		"wrong secret key": {"accesskey": []byte(accessKey), "secretkey": []byte("planted-wrong-key")},
		"unknown key":      {"accesskey": []byte("AKIAUNKNOWN"), "secretkey": []byte("planted-wrong-key")},
		"anonymous":        nil,
	} {
		req := g.request(t)
		req.Access = access(t, bucket.Secrets{Keys: keys})
		_, err := f.Fetch(t.Context(), req, "")
		if reasonOf(err) != source.ReasonAuthenticationFailed {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), accessKey)) {
			t.Errorf("%s: the error shows credentials: %v", name, err)
		}
	}
	fetch(t, f, g.request(t), "")
}

// TestHostileServers each end in an error that names what is wrong, and store nothing.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	listing := func(keys ...string) func(http.ResponseWriter, *http.Request, map[string]string) bool {
		return func(w http.ResponseWriter, r *http.Request, _ map[string]string) bool {
			if !s3server.IsList(r) {
				return false
			}
			w.Header().Set("Content-Type", "application/xml")
			_, _ = fmt.Fprint(w, "<ListBucketResult><IsTruncated>false</IsTruncated>")
			for _, key := range keys {
				_, _ = fmt.Fprintf(w, "<Contents><Key>%s</Key><ETag>\"%s\"</ETag><Size>1</Size></Contents>", key, etagOf("x"))
			}
			_, _ = fmt.Fprint(w, "</ListBucketResult>")
			return true
		}
	}
	for name, tc := range map[string]struct {
		hook   func(http.ResponseWriter, *http.Request, map[string]string) bool
		ignore *string
		limits source.Limits
		extra  string // key of one more object
		reason string
		says   string
	}{
		"a key that leads out":          {hook: listing("../../etc/passwd"), reason: source.ReasonContentInvalid, says: "leads out of the tree"},
		"a key that leads out later":    {hook: listing("a/../../b"), reason: source.ReasonContentInvalid, says: "a/../../b"},
		"an absolute key":               {hook: listing("/etc/passwd"), reason: source.ReasonContentInvalid, says: "spec.ignore"},
		"a key with an empty part":      {hook: listing("a//b"), reason: source.ReasonContentInvalid, says: "plain path"},
		"a key with a backslash":        {hook: listing(`a\b`), reason: source.ReasonContentInvalid, says: "plain path"},
		"a file and a folder of a name": {extra: "a/b", reason: source.ReasonContentInvalid, says: "directory"},
		"too many files":                {limits: source.Limits{MaxFiles: 2}, reason: source.ReasonLimitExceeded, says: "MaxFiles=2"},
		"too many objects to look at":   {limits: source.Limits{MaxFiles: 1}, ignore: new("*"), hook: listing(strings.Fields(strings.Repeat("a b c d e f g h i j k l ", 1))...), reason: source.ReasonLimitExceeded, says: "MaxFiles*10=10"},
		"a file that is too large":      {limits: source.Limits{MaxFileBytes: 3}, reason: source.ReasonLimitExceeded, says: "MaxFileBytes=3"},
		"too much in all":               {limits: source.Limits{MaxTreeBytes: 7}, reason: source.ReasonLimitExceeded, says: "MaxTreeBytes=7"},
		"a file that is larger than it was said to be": {
			limits: source.Limits{MaxFileBytes: 10}, reason: source.ReasonLimitExceeded, says: "MaxFileBytes=10",
			hook: func(w http.ResponseWriter, r *http.Request, _ map[string]string) bool {
				if s3server.IsList(r) {
					return listing("a")(w, r, nil)
				}
				s3server.Give(w, r, strings.Repeat("x", 1000))
				return true
			},
		},
		"a page without an end": {reason: bucket.ReasonFailed, says: "fetch from", hook: func(w http.ResponseWriter, r *http.Request, _ map[string]string) bool {
			if !s3server.IsList(r) {
				return false
			}
			_, _ = fmt.Fprint(w, "<ListBucketResult><Name>")
			for range 300 {
				if _, err := fmt.Fprint(w, strings.Repeat("x", 64<<10)); err != nil {
					break
				}
			}
			return true
		}},
		"no XML": {reason: bucket.ReasonFailed, says: "fetch from", hook: func(w http.ResponseWriter, _ *http.Request, _ map[string]string) bool {
			_, _ = fmt.Fprint(w, "<html>welcome")
			return true
		}},
		"a refusal that repeats the key": {reason: source.ReasonAuthenticationFailed, says: "refused", hook: func(w http.ResponseWriter, _ *http.Request, _ map[string]string) bool {
			fail(w, http.StatusForbidden, "AccessDenied")
			return true
		}},
		"a failure that repeats the key": {reason: bucket.ReasonFailed, says: "*****", hook: func(w http.ResponseWriter, _ *http.Request, _ map[string]string) bool {
			fail(w, http.StatusBadRequest, "Strange")
			return true
		}},
		"rules that are too long": {reason: source.ReasonLimitExceeded, says: "ignore", hook: func(w http.ResponseWriter, r *http.Request, _ map[string]string) bool {
			if s3server.IsList(r) {
				return listing(".sourceignore")(w, r, nil)
			}
			s3server.Give(w, r, strings.Repeat("abcdefg\n", 200<<10))
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSimple(t)
			for _, key := range []string{"a", "b", "c"} {
				s.put(t, key, "1234")
			}
			if tc.extra != "" {
				s.put(t, tc.extra, "1234")
			}
			s.Hook = tc.hook
			f, _ := newFetcher(t)
			req := s.request(t)
			req.Limits, req.Ignore = tc.limits, tc.ignore
			req.Access = access(t, bucket.Secrets{Keys: map[string][]byte{"accesskey": []byte(accessKey), "secretkey": []byte(secretKey)}})
			_, err := f.Fetch(t.Context(), req, "")
			if err == nil || reasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("reason %s: %v; want %s and %q", reasonOf(err), err, tc.reason, tc.says)
			}
			if err != nil && (strings.Contains(err.Error(), accessKey) || strings.Contains(err.Error(), secretKey) || len(err.Error()) > 800) {
				t.Errorf("the error shows credentials, or is too long: %v", err)
			}
		})
	}
}

func TestChangesDuringAFetch(t *testing.T) {
	t.Parallel()
	s := newSimple(t)
	s.put(t, "a", "1")
	s.put(t, "b", "1")
	s.Hook = func(_ http.ResponseWriter, r *http.Request, objects map[string]string) bool {
		if !s3server.IsList(r) {
			objects["a"] = "2"
			delete(objects, "b")
		}
		return false
	}
	f, _ := newFetcher(t)
	got := fetch(t, f, s.request(t), "")
	s.Hook = nil
	after := fetch(t, f, s.request(t), "")
	have := files(t, got)
	if have["a"] != "2" && have["a"] != "1" {
		t.Errorf("files %v", have)
	}
	if diff := cmp.Diff(map[string]string{"a": "2"}, files(t, after)); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if cmp.Equal(have, files(t, after)) != (got.Revision() == after.Revision()) {
		t.Error("a revision means one content")
	}
}

// TestOthersContentStaysTheirs: who may list a bucket isn't given what others were shown of it.
func TestOthersContentStaysTheirs(t *testing.T) {
	t.Parallel()
	s := newSimple(t)
	s.put(t, "a", "secret content")
	f, _ := newFetcher(t)
	first := fetch(t, f, s.request(t), "")
	s.Hook = func(w http.ResponseWriter, r *http.Request, _ map[string]string) bool {
		if !s3server.IsList(r) {
			fail(w, http.StatusForbidden, "AccessDenied")
		}
		return !s3server.IsList(r)
	}
	req := s.request(t)
	req.Access = access(t, bucket.Secrets{Keys: map[string][]byte{"accesskey": []byte("other"), "secretkey": []byte("others")}})
	if _, err := f.Fetch(t.Context(), req, first.Digest()); reasonOf(err) != source.ReasonAuthenticationFailed {
		t.Errorf("got %v", err)
	}
}

func TestHangingServer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(ended) })
	f, _ := newFetcher(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := f.Fetch(ctx, bucket.Request{Endpoint: hanging.Listener.Addr().String(), Name: "files", Region: "us-east-1", Insecure: true}, "")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "spec.timeout") {
		t.Errorf("got %v", err)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	plain := newSimple(t)
	plain.put(t, "a", "1")
	secure := httptest.NewTLSServer(plain.Server)
	t.Cleanup(secure.Close)
	f, _ := newFetcher(t)
	req := plain.request(t)
	req.Endpoint, req.Insecure = secure.Listener.Addr().String(), false
	if _, err := f.Fetch(t.Context(), req, ""); err == nil || !strings.Contains(err.Error(), "spec.certSecretRef") {
		t.Errorf("an unknown authority: %v", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	req.Access = access(t, bucket.Secrets{Certificates: map[string][]byte{"ca.crt": ca}})
	fetch(t, f, req, "")
}

func TestProxy(t *testing.T) {
	t.Parallel()
	s := newSimple(t)
	s.put(t, "a", "1")
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.URL.Host+" "+r.Header.Get("Proxy-Authorization"))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	f, _ := newFetcher(t)
	req := s.request(t)
	req.Endpoint = "s3.internal.example" // only the proxy knows it
	req.Access = access(t, bucket.Secrets{Proxy: map[string][]byte{"address": []byte(proxy.URL), "username": []byte("u"), "password": []byte("p")}})
	fetch(t, f, req, "")
	if len(through) == 0 || !strings.HasPrefix(through[0], "s3.internal.example Basic ") {
		t.Errorf("through the proxy: %v", through)
	}
}

func TestAccessRefusals(t *testing.T) {
	t.Parallel()
	broken := url.URL{Scheme: "ftp", Host: "proxy"}
	for name, s := range map[string]bucket.Secrets{
		"no secret key":      {Keys: map[string][]byte{"accesskey": []byte("planted")}},
		"empty Secret":       {Keys: map[string][]byte{}},
		"no certificates":    {Certificates: map[string][]byte{}},
		"a CA that is none":  {Certificates: map[string][]byte{"ca.crt": []byte("planted")}},
		"a key that is none": {Certificates: map[string][]byte{"tls.crt": []byte("planted"), "tls.key": []byte("planted")}},
		"a proxy of no kind": {Proxy: map[string][]byte{"address": []byte(broken.String())}},
		"no proxy":           {Proxy: map[string][]byte{}},
	} {
		a, err := bucket.AccessFromSecrets(s)
		if reasonOf(err) != source.ReasonAuthenticationFailed || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", name, err)
		}
		if text := fmt.Sprintf("%v %+v", a, a); strings.Contains(text, "planted") {
			t.Errorf("%s: prints as %s", name, text)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ref := &meta.LocalObjectReference{Name: "x"}
	for name, tc := range map[string]struct {
		spec   sourcev1.BucketSpec
		reason string
		says   string
	}{
		"generic":                        {spec: sourcev1.BucketSpec{Provider: "generic", Endpoint: "s3.example.com:9000"}},
		"IPv6":                           {spec: sourcev1.BucketSpec{Endpoint: "[::1]:9000"}},
		"aws with static keys":           {spec: sourcev1.BucketSpec{Provider: "aws", Endpoint: "s3.amazonaws.com", SecretRef: ref}},
		"aws with a workload's identity": {sourcev1.BucketSpec{Provider: "aws", Endpoint: "s3.amazonaws.com"}, source.ReasonUnsupportedField, "accesskey"},
		"aws with certificates":          {sourcev1.BucketSpec{Provider: "aws", Endpoint: "s3.amazonaws.com", SecretRef: ref, CertSecretRef: ref}, source.ReasonUnsupportedField, "spec.certSecretRef"},
		"gcp":                            {sourcev1.BucketSpec{Provider: "gcp", Endpoint: "storage.googleapis.com"}, source.ReasonUnsupportedField, "spec.provider: gcp"},
		"azure":                          {sourcev1.BucketSpec{Provider: "azure", Endpoint: "x.blob.core.windows.net"}, source.ReasonUnsupportedField, "spec.provider: azure"},
		"STS":                            {sourcev1.BucketSpec{Endpoint: "x", STS: &sourcev1.BucketSTSSpec{Provider: "ldap"}}, source.ReasonUnsupportedField, "spec.sts"},
		"a service account":              {sourcev1.BucketSpec{Endpoint: "x", ServiceAccountName: "x"}, source.ReasonUnsupportedField, "spec.serviceAccountName"},
		"a URL":                          {sourcev1.BucketSpec{Endpoint: "https://s3.example.com"}, source.ReasonURLInvalid, "spec.insecure"},
		"a path":                         {sourcev1.BucketSpec{Endpoint: "s3.example.com/x"}, source.ReasonURLInvalid, "HOST:PORT"},
		"credentials":                    {sourcev1.BucketSpec{Endpoint: "u:p@s3.example.com"}, source.ReasonURLInvalid, "HOST:PORT"},
		"a port of no kind":              {sourcev1.BucketSpec{Endpoint: "s3.example.com:99999"}, source.ReasonURLInvalid, "65535"},
		"nothing":                        {sourcev1.BucketSpec{}, source.ReasonURLInvalid, "HOST"},
	} {
		err := bucket.Check(tc.spec)
		if (err == nil) != (tc.reason == "") || err != nil && (reasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v; want %s and %q", name, err, tc.reason, tc.says)
		}
	}
}
