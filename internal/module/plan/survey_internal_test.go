package plan

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestSurveyShares: who wants a list that is newer than the one that is being read waits for the next reading, and all of those share it.
func TestSurveyShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurvey(nil)
		var readings []chan runtime.Object
		read := func(context.Context) (runtime.Object, error) {
			answer := make(chan runtime.Object)
			readings = append(readings, answer)
			return <-answer, nil
		}
		var parts sync.WaitGroup
		ask := func(got *runtime.Object) {
			<-time.After(time.Millisecond)
			parts.Go(func() {
				var err error
				if *got, err = s.read(t.Context(), "nodes", time.Now(), read); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		var first, second, third runtime.Object
		ask(&first)
		ask(&second)
		ask(&third)
		if len(readings) != 1 {
			t.Fatalf("%d readings at once", len(readings))
		}
		old, fresh := &corev1.NodeList{}, &corev1.NodeList{}
		readings[0] <- old
		synctest.Wait()
		if len(readings) != 2 || first != runtime.Object(old) || second != nil || third != nil {
			t.Fatalf("whoever came later waits for what is read since: %d readings, %v, %v, %v", len(readings), first, second, third)
		}
		readings[1] <- fresh
		parts.Wait()
		if len(readings) != 2 || second != runtime.Object(fresh) || third != runtime.Object(fresh) {
			t.Errorf("the two who waited share one reading: %d readings", len(readings))
		}
	})
}

// TestSurveyKeeps: what was read is good for whoever asked before it was, for a while, and an error is good for nobody else.
func TestSurveyKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurvey(nil)
		readings := 0
		var fails error
		wants := func(reason string, asked time.Time, anew bool) {
			t.Helper()
			before := readings
			_, err := s.read(t.Context(), "nodes", from(asked), func(context.Context) (runtime.Object, error) {
				readings++
				return &corev1.NodeList{}, fails
			})
			if !errors.Is(err, fails) {
				t.Errorf("%s: got %v", reason, err)
			}
			if got := readings > before; got != anew {
				t.Errorf("%s: read anew: %t", reason, got)
			}
			synctest.Wait()
		}
		pass := func(d time.Duration) { <-time.After(d) }
		asked := time.Now()
		pass(time.Minute)
		wants("nothing was read yet", asked, true)
		pass(recent / 2)
		wants("another plan has read it since", asked, false)
		wants("it was read before this was asked for", time.Now(), true)
		pass(time.Millisecond)
		wants("nobody says when it was asked for", time.Time{}, true)
		pass(recent + time.Millisecond)
		wants("it was read too long ago", asked, true)
		pass(recent + time.Millisecond)
		s.mu.Lock()
		if len(s.lines) > 0 {
			t.Error("what nobody will want is kept")
		}
		s.mu.Unlock()
		fails = errors.New("away")
		wants("it is read", asked, true)
		fails = nil
		wants("the last reading failed", asked, true)
	})
}

// TestSharedObjects: what all modules have in common is read once for all plans that were asked for before that, and what isn't there is nobody's for long.
func TestSharedObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &onePolicy{}
		s := newSurvey(cluster)
		asked := time.Now()
		read := func(name string) (*admissionv1.ValidatingAdmissionPolicy, error) {
			defer synctest.Wait()
			policy := &admissionv1.ValidatingAdmissionPolicy{}
			return policy, shared{cluster, s, from(asked)}.Get(t.Context(), client.ObjectKey{Name: name}, policy)
		}
		for range 3 {
			if policy, err := read("there"); err != nil || policy.Name != "there" {
				t.Errorf("got %+v, %v", policy, err)
			}
		}
		if cluster.reads != 1 {
			t.Errorf("three plans have read it %d times", cluster.reads)
		}
		for range 2 {
			if _, err := read("gone"); !apierrors.IsNotFound(err) {
				t.Errorf("got %v", err)
			}
		}
		if cluster.reads != 3 {
			t.Errorf("an error is whose it was: %d readings, want 3", cluster.reads)
		}
		<-time.After(recent + time.Millisecond)
		synctest.Wait()
		if len(s.lines) > 0 {
			t.Errorf("%d lines are kept that nobody waits in", len(s.lines))
		}
	})
}

// onePolicy is a cluster with one policy that counts how often it is asked.
type onePolicy struct {
	client.Client

	reads int
}

func (c *onePolicy) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	c.reads++
	if key.Name != "there" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "validatingadmissionpolicies"}, key.Name)
	}
	*into.(*admissionv1.ValidatingAdmissionPolicy) = admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: key.Name}}
	return nil
}

// TestSurveyLeaves: who gives up doesn't break off what others wait for, and an error is for those who waited for it.
func TestSurveyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurvey(nil)
		answer, broken := make(chan error), errors.New("away")
		read := func(ctx context.Context) (runtime.Object, error) {
			select {
			case err := <-answer:
				return nil, err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() {
			if _, err := s.read(ctx, "nodes", time.Now(), read); !errors.Is(err, context.Canceled) {
				t.Errorf("who gives up gets %v", err)
			}
		})
		synctest.Wait()
		leave()
		parts.Wait()
		<-time.After(time.Millisecond)
		parts.Go(func() {
			if _, err := s.read(t.Context(), "nodes", time.Now(), read); !errors.Is(err, broken) {
				t.Errorf("want the error of the second reading, got %v", err)
			}
		})
		synctest.Wait()
		answer <- nil
		answer <- broken
		parts.Wait()
	})
}

// TestSurveyKnows: a definition that hasn't changed isn't read again.
func TestSurveyKnows(t *testing.T) {
	s := newSurvey(nil)
	definition := func(name, version string) *apiextensionsv1.CustomResourceDefinition {
		d := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
		d.Spec.Names.Kind, d.Spec.Versions = "Boat", []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1"}}
		return d
	}
	heads := func(versions ...string) (out []metav1.PartialObjectMetadata) {
		for i, v := range versions {
			out = append(out, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: string(rune('a' + i)), ResourceVersion: v}})
		}
		return out
	}
	s.learn(definition("a", "1"))
	s.learn(definition("b", "1"))
	known, changed := s.known(heads("1", "2", "1"))
	if len(known) != 1 || known[0].Name != "a" || known[0].Spec.Names.Kind != "Boat" || len(known[0].Spec.Versions) != 0 {
		t.Errorf("want a's names, and no more of it: %v", known)
	}
	if len(changed) != 2 || changed[0] != "b" || changed[1] != "c" {
		t.Errorf("want b, which is another, and c, which is new: %v", changed)
	}
	if s.known(nil); len(s.names) != 0 {
		t.Errorf("what is gone is kept: %v", s.names)
	}
}
