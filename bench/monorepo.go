package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

const monorepoName = "monorepo"

func folderOf(i int) string { return "apps/" + appName(i) }

// monorepo: one repository with n applications' folders. Measured on it, in this order: a commit that touches none of them, commits
// that touch one, drift, and doing nothing.
func monorepo(ctx context.Context, a *arena, e engine, o monorepoOptions) ([]result, error) {
	repo, err := a.fill(ctx, o.n)
	if err != nil {
		return nil, err
	}
	r, err := a.start(ctx, e, true)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	source := a.gitRepository(monorepoName, repo.URL())
	if err := a.client.Create(ctx, source); err != nil {
		return nil, err
	}
	ref := kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: monorepoName}
	if err := each(ctx, o.n, func(ctx context.Context, i int) error {
		return a.client.Create(ctx, kustomization(i, ref, "./"+folderOf(i)))
	}); err != nil {
		return nil, err
	}
	w := a.measure(ctx, "monorepo", o.n, e, r)
	filled, err := a.finish(ctx, w, o.n)
	if err != nil || filled[0].Note != "" {
		return filled, err // what isn't there can't be measured further
	}
	a.settle(ctx)
	var out []result
	for _, step := range []func(context.Context, engine, *running, *gitserver.Repo, monorepoOptions) (result, error){
		a.irrelevant, a.relevant, a.drift, a.idle,
	} {
		got, err := step(ctx, e, r, repo, o)
		if err != nil {
			return out, err
		}
		if got.Scenario != "" {
			out = append(out, got)
		}
		a.settle(ctx)
	}
	return out, nil
}

type monorepoOptions struct {
	n       int
	commits int           // that touch one application each
	drifts  int           // objects that are changed by hand
	idle    time.Duration // how long nothing is done
}

func (a *arena) fill(ctx context.Context, n int) (*gitserver.Repo, error) {
	repo, err := a.repos.Repo(ctx, monorepoName)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"README.md": "applications\n"}
	for i := range n {
		for name, text := range manifests() {
			files[folderOf(i)+"/"+name] = text
		}
	}
	_, err = repo.Commit(ctx, files, "applications")
	return repo, err
}

// push commits and tells the engine as Flux's webhook receiver does: by a request on the source.
func (a *arena) push(ctx context.Context, repo *gitserver.Repo, files map[string]string) (string, error) {
	sha, err := repo.Commit(ctx, files, "a change")
	if err != nil {
		return "", err
	}
	return "main@sha1:" + sha, a.askFor(ctx, &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Name: monorepoName, Namespace: fluxNamespace}}, sha)
}

func (a *arena) ask(ctx context.Context, name, token string) error {
	return a.askFor(ctx, &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: fluxNamespace}}, token)
}

func (a *arena) askFor(ctx context.Context, obj client.Object, token string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{meta.ReconcileRequestAnnotation: token}}})
	if err != nil {
		return err
	}
	if err := a.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("ask for a reconcile: %w", err)
	}
	return nil
}

// irrelevant: a commit that touches no application, until every Kustomization says that it is at it.
func (a *arena) irrelevant(ctx context.Context, e engine, r *running, repo *gitserver.Repo, o monorepoOptions) (result, error) {
	w := a.measure(ctx, "irrelevant commit", o.n, e, r)
	revision, err := a.push(ctx, repo, map[string]string{"README.md": "more applications\n"})
	if err != nil {
		return result{}, err
	}
	last, err := a.tracker.await(ctx, o.n, func(_ string, s seen) bool { return s.ready && s.revision == revision })
	if err != nil {
		return result{}, err
	}
	a.settle(ctx) // what follows the last status is part of the price
	return w.end(last.Sub(w.began))
}

// relevant: commits that touch one application each, from push to its Ready at that revision.
func (a *arena) relevant(ctx context.Context, e engine, r *running, repo *gitserver.Repo, o monorepoOptions) (result, error) {
	w := a.measure(ctx, "relevant commit", o.n, e, r)
	var all []time.Duration
	for k := range o.commits {
		if k >= fewestCommits && time.Since(w.began) > longestCommits {
			break
		}
		i := rand.IntN(o.n) //nolint:gosec // any one
		text := manifests()["deployment.yaml"]
		began := time.Now()
		revision, err := a.push(ctx, repo, map[string]string{folderOf(i) + "/deployment.yaml": text + fmt.Sprintf("  # change %d\n  revisionHistoryLimit: %d\n", k, 1+k%9)})
		if err != nil {
			return result{}, err
		}
		last, err := a.tracker.await(ctx, 1, func(name string, s seen) bool { return name == appName(i) && s.ready && s.revision == revision })
		if err != nil {
			return result{}, err
		}
		all = append(all, last.Sub(began))
		// The others follow; the next push does not wait for them where the engine is done, and does where it is not.
		if _, err := a.tracker.await(ctx, o.n, func(_ string, s seen) bool { return s.ready && s.revision == revision }); err != nil {
			return result{}, err
		}
	}
	out, err := w.end(0)
	out.timed(all)
	out.Note = fmt.Sprintf("%d commits", len(all))
	return out, err
}

// Where each commit takes minutes until all have followed, a few must do.
const (
	fewestCommits  = 3
	longestCommits = 5 * time.Minute
)

// drift: a Deployment's replicas are changed by hand, until they are back. An engine that polls would be waited for until its interval:
// it is given half a minute for the first, and left at that.
func (a *arena) drift(ctx context.Context, e engine, r *running, _ *gitserver.Repo, o monorepoOptions) (result, error) {
	w := a.measure(ctx, "drift", o.n, e, r)
	var all []time.Duration
	for range o.drifts {
		took, err := a.drifted(ctx, rand.IntN(o.n)) //nolint:gosec // any one
		if err != nil {
			out, endErr := w.end(0)
			out.Note = "not put back within 30 s: the engine looks again at its interval, 10 min"
			return out, endErr
		}
		all = append(all, took)
	}
	out, err := w.end(0)
	out.timed(all)
	return out, err
}

func (a *arena) drifted(ctx context.Context, i int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	key := client.ObjectKey{Namespace: appNamespace, Name: "web" + suffix(i)}
	watch, err := a.client.Watch(ctx, &corev1.ServiceList{}, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name})
	if err != nil {
		return 0, err
	}
	defer watch.Stop()
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	began := time.Now()
	patch := client.RawPatch(types.StrategicMergePatchType, []byte(`{"spec":{"ports":[{"port":9898,"name":"edited","targetPort":"http"}]}}`))
	if err := a.client.Patch(ctx, svc, patch, client.FieldOwner("kubectl-edit")); err != nil {
		return 0, err
	}
	edited := false
	for {
		select {
		case event, ok := <-watch.ResultChan():
			if !ok {
				return 0, context.DeadlineExceeded
			}
			s, isService := event.Object.(*corev1.Service)
			if !isService {
				continue
			}
			switch name := s.Spec.Ports[0].Name; {
			case name == "edited":
				edited = true
			case edited:
				return time.Since(began), nil
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// idle: nothing is done for a while.
func (a *arena) idle(ctx context.Context, e engine, r *running, _ *gitserver.Repo, o monorepoOptions) (result, error) {
	if o.idle == 0 {
		return result{}, nil
	}
	w := a.measure(ctx, "idle", o.n, e, r)
	pause(ctx, o.idle)
	return w.end(0)
}

// failing: a tenth of the applications never becomes healthy. How long the others take, beside a run in which all are healthy.
func failing(ctx context.Context, a *arena, e engine, n int) ([]result, error) {
	r, err := a.start(ctx, e, true)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	sick, err := a.repos.Repo(ctx, "sick")
	if err != nil {
		return nil, err
	}
	files := manifests()
	files["deployment.yaml"] = withReplica(files["deployment.yaml"])
	if _, err := sick.Commit(ctx, files, "never healthy: there is no node"); err != nil {
		return nil, err
	}
	if err := a.client.Create(ctx, a.gitRepository("sick", sick.URL())); err != nil {
		return nil, err
	}
	a.settle(ctx)
	w := a.measure(ctx, "10 % never healthy", n, e, r)
	err = each(ctx, n, func(ctx context.Context, i int) error {
		for _, obj := range a.pair(i) {
			if k, ok := obj.(*kustomizev1.Kustomization); ok && i%10 == 0 {
				k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "sick"}
				k.Spec.Timeout = &metav1.Duration{Duration: time.Minute}
			}
			if err := a.client.Create(ctx, obj); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	healthy := n - (n+9)/10
	last, err := a.tracker.await(ctx, healthy, isReady)
	if err != nil {
		return nil, err
	}
	out, err := w.end(last.Sub(w.began))
	out.Note = fmt.Sprintf("until the %d healthy ones are Ready", healthy)
	return []result{out}, err
}

// withReplica wants a pod, which nobody runs.
func withReplica(manifest string) string {
	return replaceOnce(manifest, "replicas: 0", "replicas: 1")
}
