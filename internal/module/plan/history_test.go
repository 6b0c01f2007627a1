package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestRevisionThatCannotBeRead: what is installed was lost. The module is planned all the same, and the plan says that there is no way back, as nobody
// knows to what. What is in the cluster is kept rather than deleted, should anything be taken back or uninstalled.
func TestRevisionThatCannotBeRead(t *testing.T) {
	secretOf := func(w *world, r *v1alpha1.ModuleRevision) *corev1.Secret {
		s := &corev1.Secret{}
		if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: agentNamespace, Name: r.Spec.Steps[len(r.Spec.Steps)-1].Content[0].Secret}, s); err != nil {
			w.Fatal(err)
		}
		return s
	}
	remove := func(w *world, o client.Object) {
		if err := w.client.Delete(w.Context(), o); err != nil {
			w.Fatal(err)
		}
		w.remembers(o, "")
	}
	for name, c := range map[string]struct {
		reason, says string
		spoil        func(*world, *v1alpha1.ModuleRevision)
	}{
		"Lost": {reason: "its content was deleted", says: "the Secret with the content was deleted", spoil: func(w *world, r *v1alpha1.ModuleRevision) {
			remove(w, secretOf(w, r))
		}},
		"Corrupt": {reason: "its content is another one", says: "the content isn't what it was", spoil: func(w *world, r *v1alpha1.ModuleRevision) {
			s := secretOf(w, r)
			remove(w, s)
			s.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Labels: s.Labels}
			s.Data["content"] = []byte("no archive")
			if err := w.client.Create(w.Context(), s); err != nil {
				w.Fatal(err)
			}
			w.remembers(s, s.UID)
		}},
		"Gone": {reason: "it was deleted itself", says: "not found", spoil: func(w *world, r *v1alpha1.ModuleRevision) { remove(w, r) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.grant(`{namespaces: [NS]}`)
			m := w.module()
			text := docs(settings, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+strings.ToLower(name)+"}")
			w.put("1.0.0", text)
			w.install(m, w.plan(m))
			if p := w.plan(m); !p.Same {
				t.Fatalf("before anything is lost something else is wanted: %+v", p)
			}
			r := &v1alpha1.ModuleRevision{}
			if err := w.client.Get(t.Context(), client.ObjectKey{Name: m.Status.Current.Revision}, r); err != nil {
				t.Fatal(err)
			}
			c.spoil(w, r)
			for _, version := range []string{"1.0.0", "1.1.0"} {
				if version == "1.1.0" {
					w.put(version, strings.Replace(text, "level", "depth", 1))
				}
				p := w.plan(m)
				wantProblems(t, p, c.reason+", and "+version+" is wanted")
				if p.Same || p.Reversible || len(p.Irreversible) != 1 || !strings.Contains(p.Irreversible[0], "what revision "+r.Name+" was can't be read any more: ") ||
					!strings.Contains(p.Irreversible[0], c.says) {
					t.Errorf("%s, and %s is wanted: same %t, reversible %t, because %q", c.reason, version, p.Same, p.Reversible, p.Irreversible)
				}
				if p.Counts.Create != 0 || len(p.Before) != 3 {
					t.Errorf("%s: of what is there %d are new, and %d objects would be put back: want none, and all, as nobody knows any more that they are the module's",
						c.reason, p.Counts.Create, len(p.Before))
				}
				var adopted []string
				for _, change := range p.Changes {
					if change.Action == plan.Adopt {
						adopted = append(adopted, change.Object)
					}
				}
				if len(adopted) > 0 {
					t.Errorf("%s: the module's own objects are taken over from somebody: %v", c.reason, adopted)
				}
			}
		})
	}
}
