package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// surveyWithin bounds the time that one list takes.
const surveyWithin = time.Minute

// recent is how long before a plan is begun what it is made of may have been read, if it was asked for even before that.
const recent = 2 * time.Second

// survey reads what is the whole cluster's, for all plans that are being made: lists, and objects that all modules have in common. Who asks for one says
// since when it may have been read. If it wasn't since then it is read anew, for all together who wait for that: a hundred plans of a new catalogue don't read each role of the cluster a
// hundred times, and no plan is made of anything that was read before it was asked for. It is safe for concurrent use.
type survey struct {
	client client.Client

	mu    sync.Mutex
	lines map[string]*line
	names map[string]naming // by the name of the definition
}

// line is where people wait for one list.
type line struct {
	what            string
	last, now, next *reading
}

// since returns the reading that was begun at a time or after it; nil: there is none yet.
func (l *line) since(at time.Time) *reading {
	for _, r := range []*reading{l.last, l.now} {
		if r != nil && !r.began.Before(at) {
			return r
		}
	}
	return nil
}

type reading struct {
	read  func() (runtime.Object, error)
	began time.Time
	done  chan struct{}
	found runtime.Object
	err   error
}

// naming is what a definition is called in a version of it.
type naming struct {
	version    string
	definition *apiextensionsv1.CustomResourceDefinition // without its versions
}

func newSurvey(c client.Client) *survey {
	return &survey{client: c, lines: map[string]*line{}, names: map[string]naming{}}
}

// from is since when what is read is good for a plan that begins now, and was asked for at a time; zero: now.
func from(asked time.Time) time.Time {
	now := time.Now()
	if asked.IsZero() {
		return now
	}
	if oldest := now.Add(-recent); asked.Before(oldest) {
		return oldest
	}
	return asked
}

// listOf returns a list that was read at a time or after it. It is shared: who gets it changes nothing of it.
func listOf[L client.ObjectList](ctx context.Context, s *survey, since time.Time, empty L, opts ...client.ListOption) (L, error) {
	list, err := s.read(ctx, fmt.Sprintf("%T", empty), since, func(ctx context.Context) (runtime.Object, error) {
		return empty, s.client.List(ctx, empty, opts...)
	})
	if err != nil {
		return empty, err
	}
	return list.(L), nil
}

// shared reads objects that all modules have in common, for one plan.
type shared struct {
	client.Reader

	survey *survey
	since  time.Time
}

// Get implements client.Reader. What it returns is shared: who gets it changes nothing of it.
func (s shared) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	found, err := s.survey.read(ctx, fmt.Sprintf("%T %s", into, key), s.since, func(ctx context.Context) (runtime.Object, error) {
		read := into.DeepCopyObject().(client.Object)
		return read, s.Reader.Get(ctx, key, read, opts...)
	})
	if err == nil {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(found).Elem())
	}
	return err
}

func (s *survey) read(ctx context.Context, what string, since time.Time, read func(context.Context) (runtime.Object, error)) (runtime.Object, error) {
	s.mu.Lock()
	l := s.lines[what]
	if l == nil {
		l = &line{what: what}
		s.lines[what] = l
	}
	mine := cmp.Or(l.since(since), l.next)
	if mine == nil {
		mine = &reading{done: make(chan struct{}), read: func() (runtime.Object, error) {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), surveyWithin)
			defer cancel()
			return read(within)
		}}
		l.next = mine
	}
	if l.now == nil && l.next != nil {
		s.begin(l)
	}
	s.mu.Unlock()
	select {
	case <-mine.done:
		return mine.found, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin has the next in line read. It needs s.mu held.
func (s *survey) begin(l *line) {
	r := l.next
	r.began = time.Now()
	l.now, l.next = r, nil
	go func() {
		r.found, r.err = r.read()
		close(r.done)
		s.mu.Lock()
		defer s.mu.Unlock()
		l.now = nil
		if r.err == nil {
			l.last = r
			time.AfterFunc(recent, func() { s.drop(l, r) })
		}
		if l.next != nil {
			s.begin(l)
		}
		s.leave(l)
	}()
}

// drop forgets what was read some time ago, as nobody will want it.
func (s *survey) drop(l *line, r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.last == r {
		l.last = nil
	}
	s.leave(l)
}

// leave forgets a line in which nobody waits and nothing is kept. It needs s.mu held.
func (s *survey) leave(l *line) {
	if l.last == nil && l.now == nil && l.next == nil && s.lines[l.what] == l {
		delete(s.lines, l.what)
	}
}

// definition reads one definition, whole; nil: there is none.
func (s *survey) definition(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	var out apiextensionsv1.CustomResourceDefinition
	err := s.client.Get(ctx, client.ObjectKey{Name: name}, &out)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return &out, err
}

// maxAnew is how many definitions are read one by one; more are read page by page.
const maxAnew = 16

// called returns what the definitions of the cluster are called, without what they define: all of that together is large, and few of it changes. It
// reads only those again that have changed.
func (s *survey) called(ctx context.Context, since time.Time) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	heads := &metav1.PartialObjectMetadataList{}
	heads.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinitionList"))
	heads, err := listOf(ctx, s, since, heads)
	if err != nil {
		return nil, err
	}
	out, changed := s.known(heads.Items)
	if len(changed) > maxAnew {
		_, err := s.read(ctx, "definitions, whole", since, func(ctx context.Context) (runtime.Object, error) { return nil, s.readAll(ctx, heads.Items) })
		if err != nil {
			return nil, err
		}
		out, changed = s.known(heads.Items)
	}
	for _, name := range changed {
		d, err := s.definition(ctx, name)
		if err != nil {
			return nil, err
		}
		if d != nil {
			out = append(out, s.learn(d))
		}
	}
	slices.SortFunc(out, func(a, b *apiextensionsv1.CustomResourceDefinition) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// known returns what the definitions are called that are as they were when they were read, and the names of the others.
func (s *survey) known(heads []metav1.PartialObjectMetadata) (known []*apiextensionsv1.CustomResourceDefinition, changed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(heads))
	for _, h := range heads {
		there[h.Name] = true
		if n, ok := s.names[h.Name]; ok && n.version == h.ResourceVersion {
			known = append(known, n.definition)
		} else {
			changed = append(changed, h.Name)
		}
	}
	maps.DeleteFunc(s.names, func(name string, _ naming) bool { return !there[name] })
	return known, changed
}

// readAll reads all definitions, a few at a time, if it isn't just a few that have changed: who has waited for this may find that others have
// read them meanwhile.
func (s *survey) readAll(ctx context.Context, heads []metav1.PartialObjectMetadata) error {
	if _, changed := s.known(heads); len(changed) <= maxAnew {
		return nil
	}
	next := ""
	for {
		var few apiextensionsv1.CustomResourceDefinitionList
		if err := s.client.List(ctx, &few, client.Limit(maxAnew), client.Continue(next)); err != nil {
			return err
		}
		for i := range few.Items {
			s.learn(&few.Items[i])
		}
		if next = few.Continue; next == "" {
			return nil
		}
	}
}

// learn keeps what a definition is called, for whoever finds it in the same version.
func (s *survey) learn(d *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	called := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: d.Name},
		Spec:       apiextensionsv1.CustomResourceDefinitionSpec{Group: d.Spec.Group, Names: *d.Spec.Names.DeepCopy()},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[d.Name] = naming{version: d.ResourceVersion, definition: called}
	return called
}
