package attempt

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestNothingIsLostBeforeTheCommit: during the soak both versions have what they need: roles only widened, nothing is pruned, objects are stored
// as before.
func TestNothingIsLostBeforeTheCommit(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", second)
	w.plans(func(p *plan.Plan) {
		p.Gate.Checks = []v1alpha1.Check{{Name: "go", Object: &v1alpha1.ObjectCheck{APIVersion: "v1", Kind: "ConfigMap", Name: "go"}}}
	})
	w.want("2.0.0")
	a.reachWhere("the check is asked", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Soaking && strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "check go: ConfigMap/"+w.env.Namespace+"/go does not exist")
	})
	if got := w.verbs(); got != "get list watch get list delete" {
		t.Errorf("the role allows %q", got)
	}
	if got := w.served(); got != "v1 v2 stored in v1" {
		t.Errorf("the definition is %q", got)
	}
	if w.get(mapKind, "old") == nil || w.get(mapKind, "extra") == nil {
		t.Error("something is missing of one of the versions")
	}
	o := w.get(mapKind, "settings")
	o.SetName("go")
	o.SetResourceVersion("")
	o.SetLabels(nil)
	o.SetManagedFields(nil)
	if err := w.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
	w.is(second)
}

// TestSoak: what breaks during the soak begins it anew; what fails ends it.
func TestSoak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	w.plans(func(p *plan.Plan) { p.Gate.Soak = &metav1.Duration{Duration: 3 * time.Second} })
	a := w.start()
	w.want("1.0.0")
	m := a.reachWhere("the soak begins", func(m *v1alpha1.Module) bool { return m.Status.Attempt != nil && m.Status.Attempt.SoakBegan != nil })
	w.clock.stop() // else it might be over before anything breaks
	began := m.Status.Attempt.SoakBegan.Time
	d := w.get(deploymentKind, "boats")
	status := func(available int) {
		t.Helper()
		patch := fmt.Sprintf(`{"status":{"availableReplicas":%d}}`, available)
		if err := w.client.Status().Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	status(0)
	a.reachWhere("the soak is broken, and its beginning is past", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Soaking && m.Status.Attempt.SoakBegan == nil && time.Now().After(began)
	})
	w.clock.goOn()
	status(1)
	m = a.reachWhere("the soak begins anew", func(m *v1alpha1.Module) bool { return m.Status.Attempt != nil && m.Status.Attempt.SoakBegan != nil })
	if !m.Status.Attempt.SoakBegan.After(began) {
		t.Errorf("the soak goes on from %s as if nothing had happened: %s", began, m.Status.Attempt.SoakBegan)
	}
	again := m.Status.Attempt.SoakBegan.Time
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
	if took := time.Since(again); took < 3*time.Second {
		t.Errorf("a soak of 3s took %s", took)
	}
}

// TestSoakIsNotBrokenByOthers: what wasn't healthy before the attempt doesn't decide about it, so it doesn't begin the soak anew either, whatever
// happens to it; and neither does what only the old version has.
func TestSoakIsNotBrokenByOthers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, p *packages){
		"not healthy before": func(w *world, p *packages) {
			p.versions["2.0.0"] = bad.of
			p.change = func(p *plan.Plan) { p.Baseline = []plan.Health{{Object: "Deployment/" + w.env.Namespace + "/boats"}} }
		},
		"only in the old version": func(_ *world, p *packages) {
			p.versions["2.0.0"] = func(n names) []*unstructured.Unstructured {
				return slices.DeleteFunc(second.of(n), func(o *unstructured.Unstructured) bool { return o.GetKind() == "Deployment" })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := running(t, first)
			w.pack.set(func(p *packages) {
				change(w, p)
				more := p.change
				p.change = func(p *plan.Plan) {
					p.Gate = v1alpha1.Gate{Soak: &metav1.Duration{Duration: time.Hour}, Deadline: &metav1.Duration{Duration: 2 * time.Hour}}
					if more != nil {
						more(p)
					}
				}
			})
			w.want("2.0.0")
			m := a.reachWhere("it soaks for a while", func(m *v1alpha1.Module) bool {
				return m.Status.Phase == lifecycle.Soaking && m.Status.Attempt.SoakBegan != nil && time.Now().After(m.Status.Attempt.SoakBegan.Time)
			})
			began := m.Status.Attempt.SoakBegan.Time
			d := w.get(deploymentKind, "boats")
			ref := kube.RefOf(d)
			before, _, _ := a.pool.Get(ref)
			patch := `{"status":{"replicas":1,"updatedReplicas":1,"readyReplicas":0,"availableReplicas":0}}`
			if err := w.client.Status().Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
				t.Fatal(err)
			}
			w.eventually("the agent sees it", func() bool {
				now, _, _ := a.pool.Get(ref)
				return now.Unhealthy() && now.Health != before.Health
			})
			m = a.reachWhere("it is looked at", func(*v1alpha1.Module) bool { return true })
			if m.Status.Phase != lifecycle.Soaking || m.Status.Attempt.SoakBegan == nil || !m.Status.Attempt.SoakBegan.Time.Equal(began) {
				t.Errorf("the soak that began at %s was broken: %s, %+v", began, m.Status.Phase, m.Status.Attempt)
			}
		})
	}
}

// TestChecks: an object's expression, and a number from Prometheus, decide; a wrong answer of any kind is a no that says why.
func TestChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	a := w.start()
	w.want("1.0.0")
	m := a.reach(lifecycle.Installed)
	task := &task{Reconciler: a.Reconciler, m: m}
	var answer atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") != "sum(leaks)" {
			http.Error(rw, "what?", http.StatusBadRequest)
			return
		}
		_, _ = rw.Write([]byte(*answer.Load()))
	}))
	defer server.Close()
	metric := func(expression string) v1alpha1.Check {
		return v1alpha1.Check{Metric: &v1alpha1.MetricCheck{Address: server.URL, Query: "sum(leaks)", Expression: expression}}
	}
	settings := func(expression string) v1alpha1.Check {
		return v1alpha1.Check{Object: &v1alpha1.ObjectCheck{APIVersion: "v1", Kind: "ConfigMap", Name: "settings", Expression: expression}}
	}
	vector := func(values ...string) string {
		var samples []string
		for _, v := range values {
			samples = append(samples, fmt.Sprintf(`{"metric":{},"value":[1,%q]}`, v))
		}
		return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
	}
	cases := map[string]struct {
		check  v1alpha1.Check
		answer string
		no     string // part of why not; "": yes
	}{
		"Object":        {settings(`self.data.image == 'boats:1'`), "", ""},
		"ObjectNo":      {settings(`self.data.image == 'boats:2'`), "", "its expression is false"},
		"ObjectMissing": {settings(`self.data.nothing == 'x'`), "", "can't be evaluated"},
		"ObjectWrong":   {settings(`self.data.image`), "", "not true or false"},
		"ObjectHealthy": {settings(""), "", ""},
		"ObjectKind":    {v1alpha1.Check{Object: &v1alpha1.ObjectCheck{APIVersion: "example.com/v1", Kind: "Nothing", Name: "x"}}, "", "does not exist"},
		"Cluster":       {v1alpha1.Check{Object: &v1alpha1.ObjectCheck{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: w.names.unique}}, "", ""},
		"Metric":        {metric("value < 3.0"), vector("2"), ""},
		"MetricScalar":  {metric("value == 2.5"), `{"data":{"resultType":"scalar","result":[1,"2.5"]}}`, ""},
		"MetricNo":      {metric("value < 1.0"), vector("2"), "the value is 2"},
		"MetricNone":    {metric("value < 1.0"), vector(), "gives 0 values"},
		"MetricTwo":     {metric("value < 1.0"), vector("0", "0"), "gives 2 values"},
		"MetricNaN":     {metric("value < 1.0"), vector("NaN"), "no number"},
		"MetricText":    {metric("value < 1.0"), "hello", "isn't one of Prometheus"},
		"MetricMatrix":  {metric("value < 1.0"), `{"data":{"resultType":"matrix","result":[]}}`, "one number is wanted"},
		"MetricLarge":   {metric("value < 1.0"), strings.Repeat(" ", maxAnswer+1), "bytes"},
		"MetricAway":    {v1alpha1.Check{Metric: &v1alpha1.MetricCheck{Address: "http://127.0.0.1:1", Query: "x", Expression: "true"}}, "", "didn't answer"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer.Store(&tc.answer)
			var why string
			if tc.check.Object != nil {
				why = task.objectHolds(t.Context(), *tc.check.Object, w.env.Namespace)
			} else {
				why = task.metricHolds(t.Context(), *tc.check.Metric)
			}
			if (why == "") != (tc.no == "") || !strings.Contains(why, tc.no) {
				t.Errorf("says %q, want %q", why, tc.no)
			}
		})
	}
}
