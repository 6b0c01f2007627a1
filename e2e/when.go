package e2e

import (
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// Whens is the part of a story in which something happens.
type Whens struct{ *Story }

// Then goes on to what holds now.
func (w *Whens) Then() *Thens { return w.Story.then() }

// done marks the moment from which Within counts.
func (w *Whens) done() *Whens {
	w.acted = time.Now()
	return w
}

// Commit writes files on the main branch of a repository and tells its
// GitRepository to look.
func (w *Whens) Commit(repo string, files Files) *Whens {
	w.T.Helper()
	return w.Change(repo, gitserver.Change{Files: files, Message: "change"})
}

// Remove deletes files on the main branch of a repository and tells its
// GitRepository to look.
func (w *Whens) Remove(repo string, paths ...string) *Whens {
	w.T.Helper()
	return w.Change(repo, gitserver.Change{Remove: paths, Message: "remove"})
}

// Change commits anything and tells the GitRepository to look.
func (w *Whens) Change(repo string, c gitserver.Change) *Whens {
	w.T.Helper()
	return w.Push(repo, c).Reconcile("gitrepository/" + repo)
}

// Push commits anything and tells nobody.
func (w *Whens) Push(repo string, c gitserver.Change) *Whens {
	w.T.Helper()
	sha, err := w.repos[repo].Apply(w.T.Context(), c)
	if err != nil {
		w.T.Fatalf("commit: %v", err)
	}
	if c.Branch == "" || c.Branch == gitserver.DefaultBranch {
		w.heads[repo] = sha
	}
	return w.done()
}

// Rewind points the main branch at another commit, as a forced push does, and
// tells the GitRepository to look.
func (w *Whens) Rewind(repo, commit string) *Whens {
	w.T.Helper()
	if err := w.repos[repo].Reset(w.T.Context(), gitserver.DefaultBranch, commit); err != nil {
		w.T.Fatalf("rewind: %v", err)
	}
	w.heads[repo] = commit
	return w.done().Reconcile("gitrepository/" + repo)
}

// Reconcile asks for an object to be looked at now, as `flux reconcile` does.
func (w *Whens) Reconcile(words string) *Whens {
	w.T.Helper()
	token := time.Now().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, token)
	return w.Patch(words, patch)
}

// Patch merges JSON into an object by hand, as `kubectl patch` does.
func (w *Whens) Patch(words, patch string) *Whens {
	w.T.Helper()
	return w.PatchAs("kubectl-patch", words, patch)
}

// PatchAs merges JSON into an object as a field manager: another controller,
// for one.
func (w *Whens) PatchAs(manager, words, patch string) *Whens {
	w.T.Helper()
	obj := w.object(words)
	err := w.Client.Patch(w.T.Context(), obj, client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner(manager))
	if err != nil {
		w.T.Fatalf("patch %s: %v", words, err)
	}
	return w.done()
}

// Edit changes an object by hand, as `kubectl edit` does.
func (w *Whens) Edit(words string, change func(map[string]any)) *Whens {
	w.T.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		obj := w.object(words)
		if err := w.Client.Get(w.T.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change(obj.Object)
		return w.Client.Update(w.T.Context(), obj, client.FieldOwner("kubectl-edit"))
	})
	if err != nil {
		w.T.Fatalf("edit %s: %v", words, err)
	}
	return w.done()
}

// Delete deletes an object by hand.
func (w *Whens) Delete(words string) *Whens {
	w.T.Helper()
	err := w.Client.Delete(w.T.Context(), w.object(words), client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil {
		w.T.Fatalf("delete %s: %v", words, err)
	}
	return w.done()
}

// Create creates an object.
func (w *Whens) Create(obj client.Object) *Whens {
	w.T.Helper()
	w.create(obj)
	return w.done()
}

// Kustomization makes one more, of the repository that was named last.
func (w *Whens) Kustomization(name string, opts ...func(*kustomizev1.Kustomization)) *Whens {
	w.T.Helper()
	return w.Create(newKustomization(w.last, name, opts...))
}

// Respec changes what a Kustomization asks for.
func (w *Whens) Respec(name string, opts ...func(*kustomizev1.Kustomization)) *Whens {
	w.T.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var obj kustomizev1.Kustomization
		if err := w.Client.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, &obj); err != nil {
			return err
		}
		for _, opt := range opts {
			opt(&obj)
		}
		return w.Client.Update(w.T.Context(), &obj)
	})
	if err != nil {
		w.T.Fatalf("change Kustomization %s: %v", name, err)
	}
	return w.done()
}

// Resource changes what a GitRepository asks for.
func (w *Whens) Resource(name string, opts ...func(*sourcev1.GitRepository)) *Whens {
	w.T.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var obj sourcev1.GitRepository
		if err := w.Client.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, &obj); err != nil {
			return err
		}
		for _, opt := range opts {
			opt(&obj)
		}
		return w.Client.Update(w.T.Context(), &obj)
	})
	if err != nil {
		w.T.Fatalf("change GitRepository %s: %v", name, err)
	}
	return w.done()
}

// Suspend stops an object's reconciliation; Resume starts it again.
func (w *Whens) Suspend(words string) *Whens { return w.Patch(words, `{"spec":{"suspend":true}}`) }

// Resume undoes Suspend.
func (w *Whens) Resume(words string) *Whens { return w.Patch(words, `{"spec":{"suspend":false}}`) }

// object is an empty object with its kind and name.
func (s *Story) object(words string) *unstructured.Unstructured {
	s.T.Helper()
	n := s.name(words)
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(n.gvk)
	obj.SetName(n.name)
	if namespaced, err := s.Client.IsObjectNamespaced(obj); err != nil {
		s.T.Fatalf("%s: %v", words, err)
	} else if namespaced {
		obj.SetNamespace(n.namespace)
	}
	return obj
}
