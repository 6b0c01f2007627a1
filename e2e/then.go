package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/await"
)

// Thens is the part of a story that says what holds, now or soon.
type Thens struct {
	*Story
	within time.Duration
}

// uidRecord is an object as Remember saw it.
type uidRecord struct {
	uid     types.UID
	version string
}

func (s *Story) then() *Thens { return &Thens{Story: s, within: patience} }

// When goes on to what happens next.
func (th *Thens) When() *Whens { return &Whens{th.Story} }

// await watches an object until a check is content, or the story fails.
func (th *Thens) await(words string, check await.Check) {
	th.T.Helper()
	from := time.Now()
	if th.within != patience {
		from = th.acted
	}
	ctx, cancel := context.WithDeadline(th.T.Context(), from.Add(th.within))
	defer cancel()
	if err := await.Object(ctx, th.Client, th.object(words), check); err != nil {
		th.T.Fatalf("%s after what happened, still: %v", time.Since(th.acted).Round(time.Millisecond), err)
	}
}

// Await watches an object until a check is content or ctx ends. It is for
// tests that do something else meanwhile.
func (s *Story) Await(ctx context.Context, words string, check await.Check) error {
	return await.Object(ctx, s.Client, s.object(words), check)
}

// Head is the revision of a repository's main branch, as Slipway writes it.
func (s *Story) Head(repo string) string { return "main@sha1:" + s.heads[repo] }

// Inventory lists what a Kustomization says that it has applied.
func (s *Story) Inventory(name string) []string {
	s.T.Helper()
	entries, _, _ := unstructured.NestedSlice(s.get("kustomization/"+name).Object, "status", "inventory", "entries")
	var ids []string
	for _, e := range entries {
		if entry, ok := e.(map[string]any); ok {
			ids = append(ids, fmt.Sprint(entry["id"]))
		}
	}
	return ids
}

// Within gives the checks that follow this long, counted from the end of what
// happened last.
func (th *Thens) Within(d time.Duration) *Thens { return &Thens{Story: th.Story, within: d} }

// Ready checks that a Kustomization or GitRepository is Ready, speaks of its
// present spec, and has reached the newest commit of its repository's main
// branch, where it follows that.
func (th *Thens) Ready(words string) *Thens {
	th.T.Helper()
	want := ""
	if sha := th.heads[th.repoOf(words)]; sha != "" {
		want = "main@sha1:" + sha
	}
	return th.ReadyAt(words, want)
}

// ReadyAt is Ready at a revision that the story names; an empty one leaves it
// open.
func (th *Thens) ReadyAt(words, revision string) *Thens {
	th.T.Helper()
	th.await(words, await.Ready(revision))
	return th
}

// Failed checks that an object isn't Ready, for a reason, with a message that
// has all the words.
func (th *Thens) Failed(name, reason string, words ...string) *Thens {
	th.T.Helper()
	th.await(name, await.Failed(reason, words...))
	return th
}

// Condition checks one condition of an object.
func (th *Thens) Condition(name, kind string, status metav1.ConditionStatus) *Thens {
	th.T.Helper()
	th.await(name, func(obj *unstructured.Unstructured) string {
		if c := apimeta.FindStatusCondition(await.Conditions(obj), kind); c == nil || c.Status != status {
			return fmt.Sprintf("condition %s is %v", kind, c)
		}
		return ""
	})
	return th
}

// Has checks that an object is there and has all the properties.
func (th *Thens) Has(words string, properties ...await.Check) *Thens {
	th.T.Helper()
	th.await(words, func(obj *unstructured.Unstructured) string {
		if obj == nil || obj.GetDeletionTimestamp() != nil {
			return "it isn't there"
		}
		for _, p := range properties {
			if missing := p(obj); missing != "" {
				return missing
			}
		}
		return ""
	})
	return th
}

// Holds checks that an object has all the properties at this moment.
func (th *Thens) Holds(words string, properties ...await.Check) *Thens {
	th.T.Helper()
	obj := th.get(words)
	for _, p := range properties {
		if missing := p(obj); missing != "" {
			th.T.Fatalf("%s: %s", words, missing)
		}
	}
	return th
}

// Gone checks that an object isn't there.
func (th *Thens) Gone(words ...string) *Thens {
	th.T.Helper()
	for _, w := range words {
		th.await(w, await.Gone)
	}
	return th
}

// Absent checks that an object isn't there at this moment.
func (th *Thens) Absent(words string) *Thens {
	th.T.Helper()
	obj := th.object(words)
	if err := th.Client.Get(th.T.Context(), client.ObjectKeyFromObject(obj), obj); client.IgnoreNotFound(err) != nil {
		th.T.Fatalf("get %s: %v", words, err)
	} else if err == nil {
		th.T.Fatalf("%s is there", words)
	}
	return th
}

// Remember keeps in mind which objects these are, for Untouched and Same.
func (th *Thens) Remember(words ...string) *Thens {
	th.T.Helper()
	for _, w := range words {
		obj := th.get(w)
		th.uids[w] = uidRecord{obj.GetUID(), obj.GetResourceVersion()}
	}
	return th
}

// Untouched checks that nobody has written remembered objects since.
func (th *Thens) Untouched(words ...string) *Thens {
	th.T.Helper()
	for _, w := range words {
		obj := th.get(w)
		if was := th.uids[w]; obj.GetUID() != was.uid || obj.GetResourceVersion() != was.version {
			th.T.Fatalf("%s was written: it is %s at %s, and was %s at %s", w, obj.GetUID(), obj.GetResourceVersion(), was.uid, was.version)
		}
	}
	return th
}

// Same checks that remembered objects weren't deleted and made again.
func (th *Thens) Same(words ...string) *Thens {
	th.T.Helper()
	for _, w := range words {
		if got := th.get(w).GetUID(); got != th.uids[w].uid {
			th.T.Fatalf("%s is another one than before", w)
		}
	}
	return th
}

func (s *Story) get(words string) *unstructured.Unstructured {
	s.T.Helper()
	obj := s.object(words)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		s.T.Fatalf("get %s: %v", words, err)
	}
	return obj
}

// Data is a property: a ConfigMap's entry.
func Data(key, value string) await.Check { return Field(value, "data", key) }

// Label is a property: a label's value.
func Label(key, value string) await.Check { return Field(value, "metadata", "labels", key) }

// Field is a property: what a field's value is.
func Field(want any, path ...string) await.Check { return await.Field(want, path...) }

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// repoOf returns the repository an object follows, when it follows its main
// branch.
func (s *Story) repoOf(words string) string {
	s.T.Helper()
	obj := s.get(words)
	if obj.GetKind() == "Kustomization" {
		source, _, _ := unstructured.NestedString(obj.Object, "spec", "sourceRef", "name")
		obj = s.get("gitrepository/" + source)
	}
	ref, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "ref")
	if len(ref) == 1 && ref["branch"] == "main" {
		return obj.GetName()
	}
	return ""
}

// Says checks whether an object's status, the events about it or the agent's
// log have a word.
func (th *Thens) Says(words, text string, want bool) *Thens {
	th.T.Helper()
	said := map[string]string{"status": asJSON(th.get(words).Object["status"]), "log": th.Agent.Log(100_000)}
	var events corev1.EventList
	if err := th.Client.List(th.T.Context(), &events, client.InNamespace(th.Namespace)); err != nil {
		th.T.Fatalf("list events: %v", err)
	}
	for _, e := range events.Items {
		said["events"] += e.Message + "\n" + asJSON(e.Annotations)
	}
	var found []string
	for where, what := range said {
		if strings.Contains(what, text) {
			found = append(found, where)
		}
	}
	if (len(found) > 0) != want {
		th.T.Fatalf("%s: found %q in %v, want it there: %t", words, text, found, want)
	}
	return th
}
