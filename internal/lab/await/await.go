package await

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Check looks at an object, nil when it isn't there, and says what is missing;
// an empty answer means that it is as it should be.
type Check func(obj *unstructured.Unstructured) (missing string)

// UnmetError says that the time was up before a check was content.
type UnmetError struct {
	// Object is the object's kind, namespace and name; Missing the check's last
	// answer.
	Object, Missing string
	cause           error
}

func (e *UnmetError) Error() string { return fmt.Sprintf("%s: %s", e.Object, e.Missing) }

// Unwrap returns why the wait ended: the context's error.
func (e *UnmetError) Unwrap() error { return e.cause }

// Object watches the object that key names until check is content, and fails
// with an *UnmetError when ctx ends before.
func Object(ctx context.Context, c client.WithWatch, key *unstructured.Unstructured, check Check) error {
	missing := "it was not seen"
	for ctx.Err() == nil {
		done, err := follow(ctx, c, key, check, &missing)
		if done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("watch %s: %w", describe(key), err)
		}
	}
	return &UnmetError{Object: describe(key), Missing: missing, cause: ctx.Err()}
}

// follow runs one watch; false without an error asks for another one. The
// watch is opened before the object is read, so that nothing happens unseen in
// between.
func follow(ctx context.Context, c client.WithWatch, key *unstructured.Unstructured, check Check, missing *string) (bool, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(key.GroupVersionKind())
	w, err := c.Watch(ctx, list, client.InNamespace(key.GetNamespace()), client.MatchingFields{"metadata.name": key.GetName()})
	if err != nil {
		return false, err
	}
	defer w.Stop()
	now := key.DeepCopy()
	switch err := c.Get(ctx, client.ObjectKeyFromObject(key), now); {
	case apierrors.IsNotFound(err):
		now = nil
	case err != nil:
		return false, err
	}
	for *missing = check(now); *missing != ""; *missing = check(now) {
		event, open := <-w.ResultChan()
		if !open || event.Type == watch.Error {
			return false, nil // closed, or too old: begin again
		}
		seen, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return false, fmt.Errorf("unexpected %T", event.Object)
		}
		now = seen
		if event.Type == watch.Deleted {
			now = nil
		}
	}
	return true, nil
}

func describe(obj *unstructured.Unstructured) string {
	if obj.GetNamespace() == "" {
		return obj.GetKind() + " " + obj.GetName()
	}
	return obj.GetKind() + " " + obj.GetNamespace() + "/" + obj.GetName()
}
