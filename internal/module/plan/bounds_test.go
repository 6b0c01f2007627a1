package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestBounds: a plan of a package that is far too large stays one that a status and a Secret have room for, and says what it leaves out.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	m := w.module()

	many := make([]string, 5001)
	for i := range many {
		many[i] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}", i)
	}
	w.put("1.0.0", docs(many...))
	wantProblems(t, w.plan(m), "objects", "Render : the package has 5001 objects, and at most 5000 are applied: split it")
	if n := len(w.seen.others()); n > 20 {
		t.Errorf("a package that is refused for its size takes %d requests", n)
	}

	w.put("1.0.0", settings, func(p *plan.Package) {
		for i := range 250 {
			p.Requires = append(p.Requires, v1alpha1.ModuleDependency{Module: fmt.Sprintf("m%03d", i)})
		}
	})
	p := w.plan(m)
	if n := len(p.Problems); n != 200 || !strings.HasPrefix(p.Problems[199].Message, "and 51 problems more") || p.Problems[198].Object != "Module/m198" {
		t.Errorf("of 250 problems %d are told, and the last ones are %v", n, p.Problems[n-2:])
	}
	if s := p.Summary(); len(s.Problems) != 16 || s.ProblemCount != 200 {
		t.Errorf("the status has %d problems, and says that there are %d", len(s.Problems), s.ProblemCount)
	}

	w.shelf.err = errors.New(strings.Repeat("ä", 5000))
	p = w.plan(m)
	w.shelf.err = nil
	if text := p.Problems[0].Message; len(text) > 4000 || len(text) < 3990 || !utf8.ValidString(text) || !strings.HasSuffix(text, "ä…") {
		t.Errorf("a long message has %d bytes and ends in %q", len(text), text[max(0, len(text)-10):])
	}
}

// TestBoundsOfFields: of many fields, and of long ones, the beginning is shown.
func TestBoundsOfFields(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS]}`)
	m := w.module()
	content := func(value string) string {
		var all []string
		for i := range 45 {
			text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%02d}\ndata:\n", i)
			for key := range 60 {
				text += fmt.Sprintf("  k%02d: %s\n", key, value)
			}
			all = append(all, strings.TrimSuffix(text, "\n"))
		}
		return docs(all...)
	}
	w.put("1.0.0", content("a"))
	w.install(m, w.plan(m))
	w.put("1.1.0", content(strings.Repeat("ü", 500)))
	p := w.plan(m)
	wantProblems(t, p, "all of it is granted")
	total, without := 0, 0
	for _, c := range p.Changes {
		total += len(c.Fields)
		if c.Action == plan.Update && len(c.Fields) == 0 {
			without++
		}
		if len(c.Fields) > 50 {
			t.Errorf("of %s %d fields are shown", c.Object, len(c.Fields))
		}
		for _, f := range c.Fields {
			if n := utf8.RuneCountInString(f.To); n > 120 || !strings.HasSuffix(f.To, "ü…") {
				t.Fatalf("of %s a value of %d characters is shown: %s", f.Path, n, f.To)
			}
		}
	}
	if total != 2000 || without != 5 || p.Counts.Update != 45 {
		t.Errorf("of %d objects that change %d fields are shown, and of %d objects none", p.Counts.Update, total, without)
	}
}

// asked counts who is asked for images.
type asked struct{ times atomic.Int32 }

func (a *asked) Platforms(context.Context, string) ([]string, error) {
	a.times.Add(1)
	return nil, nil
}

// TestBoundsOfImages: a package can't have the agent ask registries without end, and the plan says that it didn't.
func TestBoundsOfImages(t *testing.T) {
	registry := &asked{}
	w := newWorld(t, func(s *plan.Settings) { s.Images = registry })
	w.put("1.0.0", settings, func(p *plan.Package) {
		for i := range 130 {
			p.Images = append(p.Images, fmt.Sprintf("registry.example.com/i:%d", i))
		}
	})
	p := w.plan(w.module())
	if n := registry.times.Load(); n != 100 || !slices.Equal(p.Unseen, []string{"30 images more: at most 100 are asked for"}) {
		t.Errorf("it has asked %d times, and nobody saw %q", n, p.Unseen)
	}
}

// TestBoundsOfFindings: a definition in which everything changes.
func TestBoundsOfFindings(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	group := w.name + ".example"
	definition := func(kind string) string {
		var properties []string
		for i := range 250 {
			properties = append(properties, fmt.Sprintf("p%03d: {type: %s}", i, kind))
		}
		return strings.Replace(versions(group, "v1"), "sails: {type: integer}", strings.Join(properties, ", "), 1)
	}
	w.put("1.0.0", definition("integer"))
	m := w.module()
	w.install(m, w.plan(m))
	w.eventuallyServed("boats." + group)
	w.clients.Invalidate()
	w.put("2.0.0", definition("string"))
	p := w.plan(m)
	if n := len(p.Definitions["boats."+group]); n != 200 || len(p.Problems) != 200 || p.Reversible {
		t.Errorf("%d findings are told, and %d problems; reversible %t", n, len(p.Problems), p.Reversible)
	}
	if s := p.Summary(); len(s.Irreversible) > 16 || len(s.Problems) != 16 {
		t.Errorf("the status has %d problems, and %d reasons why there is no way back", len(s.Problems), len(s.Irreversible))
	}
}

// endless answers every list of boats with another page of as many as were asked for.
func endless(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if !strings.HasSuffix(r.URL.Path, "/boats") || err != nil {
			return next.RoundTrip(r)
		}
		list := &metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, ListMeta: metav1.ListMeta{Continue: "more"},
		}
		for i := range limit {
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("b%d", i), Namespace: "n"}})
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		return &http.Response{
			StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
		}, nil
	})
}

// TestBoundsOfObjects: a kind with more objects than anybody looks at. Only the lists of them are played, as it takes minutes to make so many.
func TestBoundsOfObjects(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	group := w.name + ".example"
	w.put("1.0.0", versions(group, "v1beta1", "v1"))
	m := w.module()
	w.install(m, w.plan(m))
	w.eventuallyServed("boats." + group)
	cfg := rest.CopyConfig(w.env.Config)
	cfg.Wrap(w.seen.wrap)
	cfg.Wrap(endless)
	w.settle(cfg)
	w.put("2.0.0", versions(group, "v1"))
	p := w.plan(m)
	if want := "in which versions more than the first 10000 boats." + group + " were written"; !slices.Equal(p.Unseen, []string{want}) {
		t.Errorf("nobody saw %q, want %q", p.Unseen, want)
	}
}
