package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// arena is the fresh world of one engine in one scenario: a control plane, a registry and a Git server that hold the application.
type arena struct {
	dir      string
	plane    *tethered.Plane
	audit    auditLog
	config   *rest.Config
	client   client.WithWatch
	git      bool // applications come from Git, not from the registry
	registry string
	server   *httptest.Server
	repos    *gitserver.Server
	appRepo  *gitserver.Repo
	tracker  *tracker
	profiler profiler
	profiles string // where an engine that can serves its own profiles; "0": it doesn't
}

// enter makes an arena. Close ends it.
func enter(ctx context.Context, programs *tethered.Programs, git bool, p profiler) (_ *arena, err error) {
	a := &arena{git: git, profiler: p}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.dir, err = os.MkdirTemp("", "slipway-bench-*"); err != nil {
		return nil, err
	}
	if a.profiles = "0"; p.dir != "" {
		if a.profiles, err = port(); err != nil {
			return nil, err
		}
	}
	policy := filepath.Join(a.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	a.audit.path = filepath.Join(a.dir, "audit.log")
	const megabytes = "100000" // never rotated
	a.plane, err = tethered.Start(ctx, programs, tethered.Options{Flags: map[string][]string{
		control.APIServer: {fmt.Sprintf("--profiling=%t", p.dir != ""), "--audit-policy-file=" + policy, "--audit-log-path=" + a.audit.path, "--audit-log-maxsize=" + megabytes},
	}})
	if err != nil {
		return nil, err
	}
	if err := a.plane.Run(ctx, control.ControllerManager); err != nil {
		return nil, err
	}
	if err := a.furnish(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *arena) furnish(ctx context.Context) error {
	config, err := a.plane.Config()
	if err != nil {
		return err
	}
	a.config = rest.CopyConfig(config)
	a.config.QPS, a.config.UserAgent = -1, "bench"
	if _, err := envtest.InstallCRDs(a.config, envtest.CRDInstallOptions{Paths: []string{filepath.Join("config", "crd", "bases")}}); err != nil {
		return fmt.Errorf("install CRDs: %w", err)
	}
	if a.client, err = client.NewWithWatch(a.config, client.Options{Scheme: scheme()}); err != nil {
		return err
	}
	for _, ns := range []string{fluxNamespace, appNamespace} {
		if err := a.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
			return fmt.Errorf("make namespace %s: %w", ns, err)
		}
	}
	if a.repos, err = gitserver.Start(gitserver.Options{Dir: filepath.Join(a.dir, "git")}); err != nil {
		return err
	}
	if a.appRepo, err = a.repos.Repo(ctx, "app"); err != nil {
		return err
	}
	if _, err := a.appRepo.Commit(ctx, manifests(), "the application"); err != nil {
		return err
	}
	if err := a.serveImages(); err != nil {
		return err
	}
	a.tracker = track(ctx, a.client)
	return nil
}

// serveImages starts a registry that has the application as an artifact.
func (a *arena) serveImages() error {
	a.server = httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	a.registry = strings.TrimPrefix(a.server.URL, "http://")
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	files := tar.NewWriter(zip)
	all := manifests()
	for _, file := range slices.Sorted(maps.Keys(all)) {
		err := files.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(all[file])), ModTime: time.Unix(0, 0)})
		if err != nil {
			return err
		}
		if _, err := files.Write([]byte(all[file])); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"), "application/vnd.cncf.flux.config.v1+json")
	image, err := mutate.Append(image, mutate.Addendum{Layer: static.NewLayer(packed.Bytes(), "application/vnd.cncf.flux.content.v1.tar+gzip")})
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(a.registry+"/app:latest", name.Insecure)
	if err != nil {
		return err
	}
	var _ v1.Image = image
	return remote.Write(ref, image)
}

// folder is one below the arena's own.
func (a *arena) folder(name string) string {
	path := filepath.Join(a.dir, name)
	_ = os.MkdirAll(path, 0o755) // who writes there says what is wrong
	return path
}

func (a *arena) close() {
	if a.tracker != nil {
		a.tracker.stop()
	}
	if a.server != nil {
		a.server.Close()
	}
	if a.repos != nil {
		_ = a.repos.Close()
	}
	if a.plane != nil {
		a.plane.Stop()
	}
	os.RemoveAll(a.dir)
}

// window measures between its start and its end.
type window struct {
	a        *arena
	e        engine
	r        *running
	log      int64
	began    time.Time
	engine   time.Duration
	server   time.Duration
	scenario string
	n        int
}

func (a *arena) measure(ctx context.Context, scenario string, n int, e engine, r *running) *window {
	a.profiler.cpu(ctx, a, e, scenario)
	return &window{a: a, e: e, r: r, scenario: scenario, n: n, log: a.audit.size(), engine: r.cpu(), server: cpu(a.plane.PID(control.APIServer)), began: time.Now()}
}

// end returns what was used; took is how long it took, where that isn't until now.
func (w *window) end(took time.Duration) (result, error) {
	if took == 0 {
		took = time.Since(w.began)
	}
	out := result{
		Scenario: w.scenario, Engine: w.e.name, N: w.n, Seconds: took.Seconds(),
		EngineCPU: (w.r.cpu() - w.engine).Seconds(), ServerCPU: (cpu(w.a.plane.PID(control.APIServer)) - w.server).Seconds(), PeakMiB: w.r.peak(),
	}
	w.a.profiler.heap(context.Background(), w.a, w.e, w.scenario)
	var err error
	out.Requests, err = w.a.audit.count(w.log, w.a.audit.size(), w.e.clients)
	return out, err
}
