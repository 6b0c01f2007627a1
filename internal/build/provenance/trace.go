package provenance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/kube"
)

// ErrNotBuilt says that the object isn't among those that are built.
var ErrNotBuilt = errors.New("it isn't among the objects that are built")

// Limits of the experiments. What isn't found out within them is left without a place, or with a guess.
const (
	maxBuilds = 400
	maxTime   = 30 * time.Second
)

// Trace is what is known of an object.
type Trace struct {
	Object *unstructured.Unstructured // as it is built, before it is applied
	Fields []Field
	Builds int // how many builds it took
	// Decrypted hides the values that are encrypted in the tree. What is shown of an object goes through it.
	Decrypted mask.Mask
}

// Of traces the object that ref names, in what in builds. With below, only the fields at or below that path are traced. A name
// without a namespace fits an object in any, and an object without one fits any.
func Of(ctx context.Context, in build.Input, ref kube.Ref, below Path) (*Trace, error) {
	t := &tracer{ctx: ctx, in: in, deadline: time.Now().Add(maxTime)}
	first, err := t.build(in)
	if err != nil {
		return nil, err
	}
	if t.at = slices.IndexFunc(first.result.Objects, func(o *unstructured.Unstructured) bool { return fits(o, ref) }); t.at < 0 {
		return nil, fmt.Errorf("%s: %w", ref.Subject(), ErrNotBuilt)
	}
	t.object = first.result.Objects[t.at]
	t.rendered = first.objects[t.at].fields
	t.count = len(first.objects)
	t.files = filesRead(in.Tree.FS(), first.result.Reads, cmp.Or(in.Path, in.Spec.Path))

	paths, err := t.chosen(below)
	if err != nil {
		return nil, err
	}
	fields := make([]Field, len(paths))
	for i, path := range paths {
		_, value, _ := Resolve(t.object.Object, path)
		fields[i] = Field{Path: path, Value: value}
	}
	if err := t.trace(fields); err != nil {
		return nil, err
	}
	return &Trace{Object: t.object, Fields: fields, Builds: t.builds, Decrypted: first.result.Decrypted}, nil
}

func fits(o *unstructured.Unstructured, ref kube.Ref) bool {
	gk := o.GroupVersionKind().GroupKind()
	return gk.Kind == ref.Kind && gk.Group == ref.Group && o.GetName() == ref.Name &&
		(o.GetNamespace() == ref.Namespace || o.GetNamespace() == "" || ref.Namespace == "")
}

// tracer traces one object.
type tracer struct {
	ctx      context.Context
	in       build.Input
	files    []file
	deadline time.Time
	builds   int

	at       int                        // of the object among those that are built
	count    int                        // of those
	object   *unstructured.Unstructured // as built
	rendered any                        // as Kustomize leaves it: before variables and common metadata
}

// built is the outcome of one build.
type built struct {
	result  *build.Result
	objects []snapshot
}

// snapshot is an object as Kustomize leaves it.
type snapshot struct {
	node   *yaml.Node
	fields any
}

// build builds once and keeps what Kustomize has rendered.
func (t *tracer) build(in build.Input) (built, error) {
	t.builds++
	var (
		b      built
		failed error
	)
	observe := build.Observe(func(rendered resmap.ResMap) {
		for _, r := range rendered.Resources() {
			s := snapshot{node: r.YNode()}
			data, err := r.MarshalJSON()
			if err == nil {
				err = json.Unmarshal(data, &s.fields)
			}
			failed = errors.Join(failed, err)
			b.objects = append(b.objects, s)
		}
	})
	limits := build.DefaultLimits()
	limits.InputBytes += 2 * maxPadding
	result, err := build.New(build.WithLimits(limits), observe).Build(t.ctx, in)
	b.result = result
	return b, errors.Join(err, failed)
}

// chosen lists the fields to trace.
func (t *tracer) chosen(below Path) ([]Path, error) {
	if below == nil {
		return Leaves(t.object.Object), nil
	}
	resolved, value, ok := Resolve(t.object.Object, below)
	if !ok {
		return nil, nil
	}
	leaves := Leaves(value)
	if len(leaves) == 0 {
		return []Path{resolved}, nil
	}
	for i, leaf := range leaves {
		leaves[i] = append(slices.Clone(resolved), leaf...)
	}
	return leaves, nil
}

// trace fills in the places of fields.
func (t *tracer) trace(fields []Field) error {
	var questions []*question
	for i := range fields {
		f := &fields[i]
		if place, ok := t.commonMetadata(f.Path); ok {
			f.Places = []Place{place}
			continue
		}
		q := t.question(f)
		questions = append(questions, q)
	}
	if err := t.byLines(questions); err != nil {
		return err
	}
	if err := t.byExperiment(questions); err != nil {
		return err
	}
	for _, q := range questions {
		q.answer(t)
	}
	return nil
}

// question is a field of the object as Kustomize leaves it, whose origin is sought.
type question struct {
	field  *Field
	path   Path   // in what Kustomize leaves
	value  string // there
	found  bool   // there
	lined  *Place // the line that its node has kept
	places []ranked
}

type ranked struct {
	Place
	rank rank
}

func (t *tracer) question(f *Field) *question {
	q := &question{field: f}
	// A variable may stand for more than text: then what is above the field is what Kustomize has left.
	for end := len(f.Path); end > 0; end-- {
		resolved, value, ok := Resolve(t.rendered, f.Path[:end])
		if ok {
			q.path, q.value, q.found = resolved, text(value), true
			break
		}
	}
	return q
}

// text is a value as it would be written.
func text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case map[string]any, []any:
		data, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(data)
	case float64:
		return fmt.Sprint(int64OrFloat(value))
	default:
		return fmt.Sprint(value)
	}
}

func int64OrFloat(f float64) any {
	if f == float64(int64(f)) {
		return int64(f)
	}
	return f
}

// commonMetadata knows what is set after everything else.
func (t *tracer) commonMetadata(path Path) (Place, bool) {
	common := t.in.Spec.CommonMetadata
	if common == nil || len(path) != 3 || path[0] != "metadata" {
		return Place{}, false
	}
	key, _ := path[2].(string)
	set := map[any]map[string]string{"labels": common.Labels, "annotations": common.Annotations}[path[1]]
	if _, ok := set[key]; !ok {
		return Place{}, false
	}
	return Place{Setting: SettingSpec, Field: Path{"commonMetadata", path[1], key}}, true
}
