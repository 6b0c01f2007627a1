package apply

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// tailorTries is how often an object is looked at again because it changed before it was written.
const tailorTries = 5

// tailor makes the bodies of the items with ignored fields fit what is in the cluster: see fit. It costs a request for each of those
// that are going to be proved or written, and none for the others.
func (r *run) tailor(ctx context.Context, items []*item) error {
	open := pick(items, func(it *item) bool {
		return len(it.ignored) > 0 && (it.stance.proving() || it.stance.writing()) && !it.fresh
	})
	return r.each(open, func(it *item) *Error { return r.tailorOne(ctx, it) })
}

func (r *run) tailorOne(ctx context.Context, it *item) *Error {
	live, err := r.body(ctx, it.mapping, it.ref)
	if apierrors.IsNotFound(err) {
		it.body, it.liveVersion, it.kept = it.whole, "", false
		return nil
	}
	if err != nil {
		return r.explain(it, "get", err)
	}
	if it.stance == create {
		it.stance = change // nobody's label is on it, and yet it is there
	}
	if err := it.fit(live, r.opts.Manager); err != nil {
		return invalid(it.ref, err.Error())
	}
	return nil
}

// send writes an item. Where values of the cluster are part of it, it is written only onto the very object that they were read from.
func (r *run) send(ctx context.Context, it *item) (answer, error) {
	if len(it.ignored) == 0 || it.liveVersion == "" {
		return r.apply(ctx, it, false)
	}
	var got answer
	var err error
	for range tailorTries {
		body := it.body
		if it.kept {
			if body, err = at(it.body, it.liveVersion); err != nil {
				return got, err
			}
		}
		got, err = r.applyBody(ctx, it, it.ref.Name, body, false)
		if !apierrors.IsConflict(err) {
			return got, err
		}
		if e := r.tailorOne(ctx, it); e != nil {
			return got, e
		}
	}
	return got, err
}

// at returns a body that applies to one resource version of its object only.
func at(body []byte, resourceVersion string) ([]byte, error) {
	var obj map[string]any
	if err := json.Unmarshal(body, &obj); err != nil {
		return nil, err
	}
	if err := unstructured.SetNestedField(obj, resourceVersion, "metadata", "resourceVersion"); err != nil {
		return nil, err
	}
	return json.Marshal(obj)
}

// fit sets the body of an item whose object exists. Of an ignored field that is applied which we own alone, as it is in the cluster:
// to leave it out would remove it. What others own, or nobody, is left out, so that it is theirs from now on.
func (it *item) fit(live *unstructured.Unstructured, manager string) error {
	owned, err := shareOf(live.GetManagedFields(), manager, it.ref.GroupVersionKind().GroupVersion().String())
	if err != nil {
		return err
	}
	out := it.obj.DeepCopy()
	it.kept = false
	for _, p := range it.ignored {
		if kept, _ := fitIn(out.Object, live.Object, owned, p); kept {
			it.kept = true
		}
	}
	it.liveVersion = live.GetResourceVersion()
	it.body, err = json.Marshal(out.Object)
	return err
}

// withoutIgnored is the hash of what an item says apart from its ignored fields.
func (it *item) withoutIgnored() ([32]byte, error) {
	out := it.obj.DeepCopy()
	for _, p := range it.ignored {
		fitIn(out.Object, nil, share{}, p)
	}
	raw, err := json.Marshal(out.Object)
	return sha256.Sum256(raw), err
}

// fitIn replaces the field at p of want by what owned says is ours of it in have. It tells whether there is any, and whether want is
// empty without it.
func fitIn(want, have any, owned share, p pointer) (kept, empty bool) {
	if owned.anyAll { // atomic: whoever writes a part of it writes all of it
		owned.mineAll = true
	}
	switch at := want.(type) {
	case map[string]any:
		live, _ := have.(map[string]any)
		return fitKey(at, live, owned, p)
	case []any:
		i, err := strconv.Atoi(p[0])
		if err != nil || i < 0 || i >= len(at) || len(p) == 1 {
			return false, false
		}
		live, _ := have.([]any)
		item, below := owned.sameItem(at[i], live, i)
		return fitIn(at[i], item, below, p[1:])
	}
	return false, false
}

func fitKey(want, have map[string]any, owned share, p pointer) (kept, empty bool) {
	key := p[0]
	live, exists := have[key]
	below := owned.descend(fieldpath.PathElement{FieldName: &key})
	if len(p) == 1 {
		delete(want, key)
		if mine, some := below.extract(live); exists && some {
			want[key] = runtime.DeepCopyJSONValue(mine)
			return true, false
		}
		return false, len(want) == 0
	}
	if child, there := want[key]; there {
		if kept, empty = fitIn(child, live, below, p[1:]); empty && !kept {
			delete(want, key) // an empty map would be applied, and owned
		}
		return kept, len(want) == 0
	}
	if _, isMap := live.(map[string]any); !isMap {
		return false, false
	}
	child := map[string]any{}
	if kept, _ = fitIn(child, live, below, p[1:]); kept {
		want[key] = child
	}
	return kept, false
}
