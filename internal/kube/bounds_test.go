package kube_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/kube"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// elsewhere returns clients for an API server that answers as it is told, behind a guard and bounds.
func elsewhere(t *testing.T, bounds *kube.Bounds, answer http.HandlerFunc) (*kube.Clients, *kube.Client) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	guard := kube.NewGuard(func(error) {})
	t.Cleanup(guard.Close)
	bounds.Overdue = guard.Overdue
	cfg := &rest.Config{Host: server.URL}
	cfg.Wrap(guard.Wrap)
	cfg.Wrap(bounds.Wrap)
	clients, err := kube.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, err := clients.For(kube.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	return clients, client
}

// TestAnEndlessAnswerEnds has servers answer with more than there is memory, in the forms that a small answer becomes a large one.
func TestAnEndlessAnswerEnds(t *testing.T) {
	t.Parallel()
	discover := func(_ context.Context, clients *kube.Clients, _ *kube.Client) error {
		_, err := clients.Mapping(schema.GroupKind{Kind: "ConfigMap"}, "v1")
		return err
	}
	list := func(ctx context.Context, _ *kube.Clients, client *kube.Client) error {
		_, err := client.Dynamic.Resource(configMaps).List(ctx, metav1.ListOptions{})
		return err
	}
	heads := func(ctx context.Context, _ *kube.Clients, client *kube.Client) error {
		_, err := client.Metadata.Resource(configMaps).List(ctx, metav1.ListOptions{})
		return err
	}
	watch := func(ctx context.Context, _ *kube.Clients, client *kube.Client) error {
		stream, err := client.Dynamic.Resource(configMaps).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		defer stream.Stop()
		for e := range stream.ResultChan() {
			return apierrors.FromObject(e.Object)
		}
		return nil
	}
	for name, tc := range map[string]struct {
		reason   string
		ask      func(context.Context, *kube.Clients, *kube.Client) error
		start    string
		forever  string
		zip      bool
		kind     string
		atMost   int64 // bytes that may be sent
		anyError bool
	}{
		"discovery":           {"what it serves never ends", discover, `{"kind":"APIVersions","versions":["`, strings.Repeat("v", 1<<16), false, "", 68 << 20, false},
		"discovery, zipped":   {"a few kilobytes become gigabytes", discover, `{"kind":"APIVersions","versions":["`, strings.Repeat("v", 1<<16), true, "", 1 << 20, false},
		"a list":              {"one object never ends", list, `{"kind":"ConfigMapList","items":[{"data":{"a":"`, strings.Repeat("v", 1<<16), false, "", 68 << 20, false},
		"empty objects":       {"each takes many times what it has in bytes", heads, `{"kind":"List","items":[{}`, strings.Repeat(",{}", 1<<14), false, "", 8 << 20, false},
		"protobuf":            {"its weight can't be told", heads, "k8s\x00", strings.Repeat("\x0a\x00", 1<<14), false, "application/vnd.kubernetes.protobuf", 8 << 20, true},
		"an event of a watch": {"one event never ends", watch, `{"type":"ADDED","object":{"data":{"a":"`, strings.Repeat("v", 1<<16), false, "", 68 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			clients, client := elsewhere(t, &kube.Bounds{}, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/version" {
					return
				}
				kind := tc.kind
				if kind == "" {
					kind = "application/json"
				}
				w.Header().Set("Content-Type", kind)
				var out io.Writer = counted{w, &sent}
				if tc.zip {
					w.Header().Set("Content-Encoding", "gzip")
					zipped := gzip.NewWriter(out)
					defer func() { _ = zipped.Close() }()
					out = zipped
				}
				_, err := io.WriteString(out, tc.start)
				for err == nil && req.Context().Err() == nil && sent.Load() < 256<<20 {
					_, err = io.WriteString(out, tc.forever)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := tc.ask(ctx, clients, client)
			var large *kube.TooLargeError
			if err == nil || !tc.anyError && !errors.As(err, &large) {
				t.Errorf("%s: the error is %v, want that it is too large", tc.reason, err)
			}
			if sent.Load() > tc.atMost {
				t.Errorf("%s: %d bytes were taken, want at most %d", tc.reason, sent.Load(), tc.atMost)
			}
		})
	}
}

type counted struct {
	io.Writer

	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// TestAServerThatLeavesRequestsOpenIsLeftAlone has a server say that it is there, and never finish what else it is asked.
func TestAServerThatLeavesRequestsOpenIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
		"an answer in bits": func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for req.Context().Err() == nil {
				_, _ = fmt.Fprint(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-req.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			_, client := elsewhere(t, &kube.Bounds{Within: 200 * time.Millisecond}, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/version" {
					return
				}
				asked.Add(1)
				hang(w, req)
			})
			get := func() error {
				_, err := client.Dynamic.Resource(configMaps).Namespace("shop").Get(t.Context(), "a", metav1.GetOptions{})
				return err
			}
			if err := get(); err == nil || !strings.Contains(err.Error(), "left open for 200ms") {
				t.Fatalf("the error is %v, want that the request was left open", err)
			}
			var away *kube.AwayError
			if err := get(); !errors.As(err, &away) {
				t.Errorf("the next request ends with %v, want that it fails at once", err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("%d requests were made, want one", n)
			}
		})
	}
}

// TestWatchesMayStayOpen has a watch outlast the bound of requests, and one event after the other come through it.
func TestWatchesMayStayOpen(t *testing.T) {
	t.Parallel()
	const within = 300 * time.Millisecond
	_, client := elsewhere(t, &kube.Bounds{Within: within}, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for n := 0; req.Context().Err() == nil; n++ {
			_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"%d"},"data":{"a":"%s"}}}`+"\n",
				n, strings.Repeat("v", 1<<20))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-req.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	stream, err := client.Dynamic.Resource(configMaps).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Stop()
	began, events := time.Now(), 0
	for time.Since(began) < 3*within || events < 40 { // 40 MiB in all, more than one answer may have
		e, open := <-stream.ResultChan()
		if !open || e.Type != "ADDED" {
			t.Fatalf("the watch ended after %s and %d events: %v", time.Since(began), events, e.Object)
		}
		events++
	}
}

// TestDiscoveryEndsThoughTheServerAsksForPatience has a server say that it has too much to do, and name a pause of a day.
func TestDiscoveryEndsThoughTheServerAsksForPatience(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	clients, _ := elsewhere(t, &kube.Bounds{}, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	done := make(chan error, 1)
	go func() {
		_, err := clients.Mapping(schema.GroupKind{Kind: "ConfigMap"}, "v1")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("there is a mapping, though the server named none")
		}
	case <-time.After(90 * time.Second):
		t.Error("it waits for as long as the server says")
	}
}
