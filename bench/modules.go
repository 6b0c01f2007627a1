package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/author"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
)

// moduleFiles are the package that is installed many times: a controller with a kind of its own, in eleven objects.
//
//go:embed module/*.yaml
var moduleFiles embed.FS

const (
	oldVersion, newVersion = "1.0.0", "1.1.0"
	catalogueName          = "catalogue"
	// agentNamespace is that of the agent's own objects, which is the kubeconfig's.
	agentNamespace = "default"
)

func moduleName(i int) string { return "module" + suffix(i) }

// moduleOptions are the sizes of the scenario.
type moduleOptions struct {
	n    int
	idle time.Duration // how long nothing is done
}

// modules: n Modules of as many packages are installed by one agent; then nothing is done for a while; then their catalogue names another
// version of each, which a person has to approve: until all plans are made.
func modules(ctx context.Context, a *arena, e engine, o moduleOptions) ([]result, error) {
	if err := a.publishModules(ctx, o.n); err != nil {
		return nil, fmt.Errorf("publish the packages: %w", err)
	}
	if err := a.catalogue(ctx, o.n, oldVersion); err != nil {
		return nil, err
	}
	r, err := a.start(ctx, e, true)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	a.settle(ctx)
	var out []result
	stage := func(scenario string, do func() error, done func(*v1alpha1.Module) bool) error {
		w := a.measure(ctx, scenario, o.n, e, r)
		if err := do(); err != nil {
			return err
		}
		if done != nil {
			if err := a.awaitModules(ctx, o.n, done); err != nil {
				return fmt.Errorf("%s: %w", scenario, err)
			}
		}
		one, err := w.end(0)
		out = append(out, one)
		return err
	}
	err = stage("modules installed", func() error { return a.createModules(ctx, o.n) }, func(m *v1alpha1.Module) bool {
		return m.Status.Phase == v1alpha1.PhaseInstalled
	})
	if err != nil {
		return out, err
	}
	a.settle(ctx)
	if o.idle > 0 {
		if err := stage("modules idle", func() error { pause(ctx, o.idle); return ctx.Err() }, nil); err != nil {
			return out, err
		}
	}
	return out, stage("new catalogue planned", func() error { return a.catalogue(ctx, o.n, newVersion) }, func(m *v1alpha1.Module) bool {
		return m.Status.Phase == v1alpha1.PhasePlanned && m.Status.Target != nil && m.Status.Target.Version == newVersion
	})
}

// publishModules puts two versions of each package into the registry, and the image that they run.
func (a *arena) publishModules(ctx context.Context, n int) error {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return err
	}
	if err := a.upload(image, "controller:1"); err != nil {
		return err
	}
	store, err := source.NewStore(a.folder("packages"))
	if err != nil {
		return err
	}
	return each(ctx, n, func(ctx context.Context, i int) error {
		for _, version := range []string{oldVersion, newVersion} {
			fill := strings.NewReplacer("NAME", moduleName(i), "VERSION", version, "REGISTRY", a.registry)
			files := fstest.MapFS{}
			for from, to := range map[string]string{"package.yaml": "package.yaml", "manifests.yaml": "manifests/all.yaml"} {
				text := must(moduleFiles.ReadFile(filepath.Join("module", from)))
				files[to] = &fstest.MapFile{Data: []byte(fill.Replace(string(text)))}
			}
			image, _, err := pack.Build(ctx, store, files)
			if err != nil {
				return err
			}
			if err := a.upload(image, moduleName(i)+":"+version); err != nil {
				return err
			}
		}
		return nil
	})
}

// upload brings an image into the registry.
func (a *arena) upload(image v1.Image, to string) error {
	ref, err := name.ParseReference(a.registry+"/"+to, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, image)
}

// catalogue names a version for all modules.
func (a *arena) catalogue(ctx context.Context, n int, version string) error {
	var text strings.Builder
	text.WriteString("apiVersion: slipway.dev/v1alpha1\nkind: Catalogue\nmodules:\n")
	for i := range n {
		fmt.Fprintf(&text, "  %s: {stable: %q}\n", moduleName(i), version)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: catalogueName, Namespace: agentNamespace}, Data: map[string]string{"catalogue.yaml": text.String()}}
	err := a.client.Create(ctx, cm)
	if version != oldVersion {
		err = a.client.Update(ctx, cm)
	}
	if err != nil {
		return fmt.Errorf("write the catalogue: %w", err)
	}
	return nil
}

// createModules makes the Modules, with the one grant that bounds them all.
func (a *arena) createModules(ctx context.Context, n int) error {
	names := map[string]bool{}
	for i := range n {
		names[moduleName(i)] = true
	}
	all := []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
	grant := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "platform"}, Spec: v1alpha1.ModuleGrantSpec{
		Modules: slices.Sorted(maps.Keys(names)), Namespaces: []string{"*"}, Rules: all, ClusterRules: all,
		ClusterObjects: []v1alpha1.GrantedKind{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Names: []string{"*.example.com"}}},
	}}
	policy, binding, err := author.Policy()
	if err != nil {
		return err
	}
	for _, obj := range []client.Object{policy, binding, grant} {
		if err := a.client.Create(ctx, obj); err != nil {
			return err
		}
	}
	return each(ctx, n, func(ctx context.Context, i int) error {
		return a.client.Create(ctx, &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: moduleName(i)}, Spec: v1alpha1.ModuleSpec{
			Source:    v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://" + a.registry + "/" + moduleName(i)}},
			Catalogue: &v1alpha1.Catalogue{ConfigMap: &v1alpha1.ConfigMapReference{Name: catalogueName}, Channel: "stable"},
			GrantRef:  &v1alpha1.GrantReference{Name: grant.Name},
			Upgrade:   &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual},
		}})
	})
}

// awaitModules returns when n Modules are as wanted. One whose plan is refused is an error: nothing better is to come.
func (a *arena) awaitModules(ctx context.Context, n int, wanted func(*v1alpha1.Module) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state := map[string]string{}
	done := map[string]bool{}
	for ctx.Err() == nil {
		events, err := a.client.Watch(ctx, &v1alpha1.ModuleList{})
		if err != nil {
			return err
		}
		for event := range events.ResultChan() {
			m, ok := event.Object.(*v1alpha1.Module)
			if !ok {
				continue
			}
			state[m.Name] = string(m.Status.Phase)
			if ready := apimeta.FindStatusCondition(m.Status.Conditions, meta.ReadyCondition); ready != nil {
				state[m.Name] += ": " + ready.Message
			}
			if m.Status.Phase == v1alpha1.PhaseBlocked {
				events.Stop()
				return errors.New(m.Name + " is refused: " + problems(m))
			}
			if wanted(m) {
				done[m.Name] = true
			}
			if len(done) == n {
				events.Stop()
				return nil
			}
		}
	}
	return fmt.Errorf("%d of %d modules are as wanted after %s: %v", len(done), n, patience, state)
}

func problems(m *v1alpha1.Module) string {
	if m.Status.Plan == nil {
		return "without a plan"
	}
	return fmt.Sprint(m.Status.Plan.Problems)
}
