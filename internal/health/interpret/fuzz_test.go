package interpret

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/expr"
)

// FuzzInterpret feeds Interpreters as strangers may write them, and objects as strangers may have them: it is refused, or it gives a verdict
// of bounded size at a bounded cost.
func FuzzInterpret(f *testing.F) {
	f.Add([]byte(`apiVersion: slipway.dev/v1alpha1
kind: Interpreter
metadata: {name: boat}
spec:
  target: {group: example.org, kind: Boat}
  health:
  - {state: Healthy, when: "self.condition('Ready').status == 'True'", reason: "=self.condition('Ready').reason", message: self.status.phase}
  replicas: "{'desired': self.spec.n, 'ready': size(self.status.list)}"
  drained: self.status.list.all(x, x == 0)
  dependencies: "[{'kind': 'Secret', 'name': self.spec.name}]"
  version: self.?status.?version
`), []byte(`{"apiVersion":"example.org/v1","kind":"Boat","metadata":{"generation":1},"spec":{"n":1,"name":"x"},"status":{"list":[0],"conditions":[{"type":"Ready","status":"True"}]}}`))
	f.Add([]byte("apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: x}\nspec: {target: {group: '*.org', kind: '*'}, version: \"'%s'.format([self])\"}"), []byte(`{"kind":[],"status":1}`))
	f.Add([]byte("apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: x}\nspec: {target: {group: a.org, kind: A}, version: \"[string(self.n)].map(a,a+a).map(a,a+a).map(a,a.replace('',a))[0]\"}"), []byte(`{"n":"aaaaaaaaaaaaaaaaaaaa"}`))
	f.Fuzz(func(t *testing.T, interpreter, content []byte) {
		_, d, err := Read(interpreter)
		if err != nil {
			return
		}
		i, err := Compile(d)
		if err != nil {
			return
		}
		obj := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(content, &obj.Object); err != nil {
			return
		}
		Check(i, d.Tests)
		got := i.Interpret(obj)
		switch v := got.Health; {
		case v.State != health.Healthy && v.State != health.Progressing && v.State != health.Degraded && v.State != health.Unknown:
			t.Errorf("not a state: %+v", v)
		case v.Reason == "" || v.Message == "":
			t.Errorf("a verdict without a reason or message: %+v", v)
		}
		if out, err := json.Marshal(got.Dependencies); err != nil || len(out)+len(got.Version) > 2<<20 {
			t.Errorf("%d bytes came out, %v", len(out), err)
		}
		var e evaluation
		i.assess(obj, &e)
		if e.spent > 3*expr.MaxCost {
			t.Errorf("it cost %d", e.spent)
		}
	})
}
