package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/kube"
)

// Of objects that are written only the metadata comes back: all that is kept of them is there.
const (
	acceptMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptBody     = "application/json"
)

// api makes the requests of one identity, for one set.
type api struct {
	client  *kube.Client
	opts    Options
	timeout time.Duration
	// young holds the kinds whose CRD was created by this very call: the API server may not serve them everywhere yet.
	young map[string]struct{}
}

// answer is the API server's answer to a write.
type answer struct {
	metav1.PartialObjectMetadata
	created bool
}

// apply sends an item by server-side apply. Conflicts with other managers are decided in our favour, unknown fields are refused.
func (a *api) apply(ctx context.Context, it *item, dryRun bool) (answer, error) {
	return a.applyBody(ctx, it, it.ref.Name, it.body, dryRun)
}

func (a *api) applyBody(ctx context.Context, it *item, name string, body []byte, dryRun bool) (got answer, err error) {
	err = a.retry(ctx, it, func(ctx context.Context) (err error) {
		got, err = a.applyOnce(ctx, it, name, body, dryRun)
		return err
	})
	return got, err
}

func (a *api) applyOnce(ctx context.Context, it *item, name string, body []byte, dryRun bool) (answer, error) {
	res := a.applyRequest(it.mapping, it.ref.Namespace, name, body, dryRun, acceptMetadata).Do(ctx)
	raw, err := answerOf(res)
	if err != nil {
		return answer{}, err
	}
	var code int
	res.StatusCode(&code)
	got := answer{created: code == http.StatusCreated}
	return got, json.Unmarshal(raw, &got.PartialObjectMetadata)
}

// nowhere is a resource version that no object has: etcd's first revision. What is applied at it is created, and conflicts with whatever
// exists.
const nowhere = "1"

// errExists says of an object that was to be created that it is there.
var errExists = errors.New("it exists")

// create applies an item as applyBody does, if it doesn't exist. If it does, it is left as it is and the error is errExists.
func (a *api) create(ctx context.Context, it *item) (got answer, err error) {
	body, err := it.bodyAt(nowhere)
	if err != nil {
		return got, err
	}
	err = a.retry(ctx, it, func(ctx context.Context) (err error) {
		if got, err = a.applyOnce(ctx, it, it.ref.Name, body, false); apierrors.IsConflict(err) {
			return errExists
		}
		return err
	})
	return got, err
}

// preview returns what an item would look like if it were applied.
func (a *api) preview(ctx context.Context, it *item) (*unstructured.Unstructured, error) {
	out := &unstructured.Unstructured{}
	err := a.retry(ctx, it, func(ctx context.Context) error {
		raw, err := answerOf(a.applyRequest(it.mapping, it.ref.Namespace, it.ref.Name, it.body, true, acceptBody).Do(ctx))
		if err != nil {
			return err
		}
		return out.UnmarshalJSON(raw)
	})
	return out, err
}

func (a *api) applyRequest(m *meta.RESTMapping, namespace, name string, body []byte, dryRun bool, accept string) *rest.Request {
	req := a.client.REST.Patch(types.ApplyPatchType).AbsPath(path(m, namespace, name)...).
		Param("fieldManager", a.opts.Manager).Param("force", "true").Param("fieldValidation", metav1.FieldValidationStrict).
		SetHeader("Accept", accept).Body(body)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	return req
}

// patch sends a JSON patch.
func (a *api) patch(ctx context.Context, m *meta.RESTMapping, ref kube.Ref, body []byte) (metav1.PartialObjectMetadata, error) {
	var got metav1.PartialObjectMetadata
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	raw, err := answerOf(a.client.REST.Patch(types.JSONPatchType).AbsPath(path(m, ref.Namespace, ref.Name)...).
		Param("fieldManager", a.opts.Manager).SetHeader("Accept", acceptMetadata).Body(body).Do(ctx))
	if err != nil {
		return got, err
	}
	return got, json.Unmarshal(raw, &got)
}

// head reads the metadata of an object.
func (a *api) head(ctx context.Context, m *meta.RESTMapping, ref kube.Ref) (*metav1.PartialObjectMetadata, error) {
	raw, err := a.read(ctx, m, ref, acceptMetadata)
	if err != nil {
		return nil, err
	}
	got := &metav1.PartialObjectMetadata{}
	return got, json.Unmarshal(raw, got)
}

// body reads an object.
func (a *api) body(ctx context.Context, m *meta.RESTMapping, ref kube.Ref) (*unstructured.Unstructured, error) {
	raw, err := a.read(ctx, m, ref, acceptBody)
	if err != nil {
		return nil, err
	}
	got := &unstructured.Unstructured{}
	return got, got.UnmarshalJSON(raw)
}

func (a *api) read(ctx context.Context, m *meta.RESTMapping, ref kube.Ref, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return answerOf(a.client.REST.Get().AbsPath(path(m, ref.Namespace, ref.Name)...).SetHeader("Accept", accept).Do(ctx))
}

// remove deletes an object in the background, if it is still the one that the preconditions name.
func (a *api) remove(ctx context.Context, m *meta.RESTMapping, ref kube.Ref, uid types.UID, resourceVersion string) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}}
	opts.Kind, opts.APIVersion = "DeleteOptions", "v1"
	if resourceVersion != "" {
		opts.Preconditions.ResourceVersion = &resourceVersion
	}
	body, err := json.Marshal(&opts)
	if err != nil {
		return fmt.Errorf("write delete options: %w", err)
	}
	return a.client.REST.Delete().AbsPath(path(m, ref.Namespace, ref.Name)...).
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// retry makes a request again for a while when its failure says nothing about the object. Server-side apply may be repeated: it ends in
// the same object.
func (a *api) retry(ctx context.Context, it *item, request func(context.Context) error) error {
	var last error
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 6}
	_ = wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		last = request(ctx)
		return last == nil || !transient(last) && !a.tooEarly(it, last), nil
	})
	if last == nil {
		return ctx.Err()
	}
	return last
}

// tooEarly tells that the API server does not know a kind yet that was defined just now.
func (a *api) tooEarly(it *item, err error) bool {
	_, young := a.young[it.ref.GroupKind().String()]
	return young && apierrors.IsNotFound(err)
}

// answerOf returns the bytes of an answer, or the error that the API server put into them.
func answerOf(res rest.Result) ([]byte, error) {
	if err := res.Error(); err != nil {
		return nil, err
	}
	return res.Raw()
}

func path(m *meta.RESTMapping, namespace, name string) []string {
	segments := []string{"/apis", m.Resource.Group, m.Resource.Version}
	if m.Resource.Group == "" {
		segments = []string{"/api", m.Resource.Version}
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		segments = append(segments, "namespaces", namespace)
	}
	return append(segments, m.Resource.Resource, name)
}
