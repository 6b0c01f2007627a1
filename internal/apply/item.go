package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

const annotationForce = "kustomize.toolkit.fluxcd.io/force"

// item is one object on its way into the cluster.
type item struct {
	ref     kube.Ref
	obj     *unstructured.Unstructured
	mapping *meta.RESTMapping
	body    []byte
	desired [32]byte

	// ignored are the fields that others may change. whole is the body with all of them, which a new object gets; body is what fits the
	// object as it is at liveVersion, "" where there is none. kept says that values of the cluster are part of it.
	ignored     []pointer
	whole       []byte
	liveVersion string
	kept        bool

	// What annotations ask for.
	ignore, once, merge, force bool

	// asked is what the object itself says of its drift, mode what holds for it.
	asked, mode observe.Mode
	// fields are where it has drifted, exists whether it is still there.
	fields []FieldDrift
	exists bool

	stance stance
	// light: see weigh.
	light bool
	// known is what the watch said of the object when the phase began.
	known observe.State
	// watched says that the watch would know of the object.
	watched bool
	// remembered is what we did with it last.
	remembered record
	// replace says that a field has to change that can't, and that the object may be deleted for it.
	replace bool
	// fresh says that the object can't exist, because what it lives in was created just now.
	fresh bool
}

// prepare returns the objects as they are to be applied, in order, or what is wrong with them.
//
// Where the set need not be valid as a whole, both are returned.
func prepare(objs []*unstructured.Unstructured, opts Options) ([]*item, error) {
	items := make([]*item, 0, len(objs))
	seen := make(map[kube.Ref]struct{}, len(objs))
	var failed []*Error
	for _, obj := range objs {
		it, err := newItem(obj, opts)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if _, twice := seen[it.ref.Unversioned()]; twice {
			failed = append(failed, invalid(it.ref, "is twice in the set: remove one of the two"))
			continue
		}
		seen[it.ref.Unversioned()] = struct{}{}
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *item) int { return compareOrder(a.ref, b.ref) })
	return items, joined(failed)
}

func newItem(obj *unstructured.Unstructured, opts Options) (*item, *Error) {
	ref := kube.RefOf(obj)
	switch {
	case ref.Kind == "" || ref.Version == "":
		return nil, invalid(ref, "has no apiVersion or no kind: add them")
	case ref.Name == "":
		return nil, invalid(ref, "has no metadata.name: add one; metadata.generateName can't be applied again and again")
	}
	own := kube.Bare(obj)
	if ref.GroupKind() == secretKind {
		if err := foldStringData(own); err != nil {
			return nil, invalid(ref, err.Error())
		}
	}
	notes := own.GetAnnotations()
	it := &item{
		ref: ref, obj: own,
		ignore: is(notes, observe.AnnotationReconcile, observe.Disabled) || is(notes, observe.AnnotationSSA, observe.SSAIgnore),
		once:   is(notes, observe.AnnotationSSA, observe.SSAIfNotPresent),
		merge:  is(notes, observe.AnnotationSSA, observe.SSAMerge),
		force:  opts.Force || is(notes, annotationForce, "enabled"),

		ignored: opts.Ignore.of(own),
	}
	asked, err := observe.ParseMode(notes[observe.AnnotationDrift])
	if err != nil {
		return nil, invalid(ref, "has a wrong annotation: "+err.Error())
	}
	it.asked = asked
	labels := own.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[opts.Owner.Group+"/name"] = opts.Owner.Name
	if opts.Owner.Namespace != "" {
		labels[opts.Owner.Group+"/namespace"] = opts.Owner.Namespace
	}
	own.SetLabels(labels)
	return it, nil
}

func is(notes map[string]string, key, value string) bool { return strings.EqualFold(notes[key], value) }

// foldStringData moves stringData of a Secret into data: the API server only writes the one into the other, and would
// leave keys behind that are removed later.
func foldStringData(obj *unstructured.Unstructured) error {
	plain, ok, err := unstructured.NestedMap(obj.Object, "stringData")
	if err != nil {
		return fmt.Errorf("has a stringData that is no map of strings: correct it")
	}
	if !ok {
		return nil
	}
	data, _, err := unstructured.NestedMap(obj.Object, "data")
	if err != nil {
		return fmt.Errorf("has a data that is no map of strings: correct it")
	}
	if data == nil {
		data = map[string]any{}
	}
	for k, v := range plain {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("has a value of stringData[%s] that is no string: put it in quotes", k)
		}
		data[k] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	unstructured.RemoveNestedField(obj.Object, "stringData")
	return unstructured.SetNestedMap(obj.Object, data, "data")
}

// place finds out how the kind of an item is served, and gives it the scope that the kind has.
func (it *item) place(clients *kube.Clients) *Error {
	m, err := clients.Mapping(it.ref.GroupKind(), it.ref.Version)
	if err != nil {
		return unserved(it.ref, err)
	}
	it.mapping = m
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		it.obj.SetNamespace("")
		it.ref.Namespace = ""
	} else if it.ref.Namespace == "" {
		return invalid(it.ref, "has no namespace: set metadata.namespace, or spec.targetNamespace of the Kustomization")
	}
	body, err := json.Marshal(it.obj.Object)
	if err != nil {
		return invalid(it.ref, "can't be written as JSON: "+err.Error())
	}
	it.body, it.desired = body, sha256.Sum256(body)
	if len(it.ignored) > 0 {
		it.whole = body
		if it.desired, err = it.withoutIgnored(); err != nil {
			return invalid(it.ref, "can't be written as JSON: "+err.Error())
		}
	}
	return nil
}
