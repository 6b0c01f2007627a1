package health

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// fixture is one document of testdata: an object as the API server gives it, under a
// comment "# what it is: State Reason: message".
type fixture struct {
	name   string
	object *unstructured.Unstructured
	want   Verdict
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var all []fixture
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(content), "\n---\n") {
			header, _, _ := strings.Cut(doc, "\n")
			name, want, ok := strings.Cut(strings.TrimPrefix(header, "# "), ": ")
			state, rest, _ := strings.Cut(want, " ")
			reason, message, isComplete := strings.Cut(rest, ": ")
			if !ok || !isComplete {
				t.Fatalf("%s: cannot read %q", file, header)
			}
			all = append(all, fixture{name, parse(t, doc), Verdict{State(state), reason, message}})
		}
	}
	return all
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(content, &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

// parseJSON gives nil for what is not a JSON object.
func parseJSON(content []byte) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(content, &obj.Object); err != nil {
		return nil
	}
	return obj
}

func TestAssess(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			before := f.object.DeepCopy()
			if diff := cmp.Diff(f.want, Assess(f.object)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.name, diff)
			}
			if diff := cmp.Diff(before, f.object); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
		})
	}
}

// Where the verdict is not kstatus', it is so on purpose, and for a reason that the
// documentation gives.
func TestAssessAgreesWithKstatus(t *testing.T) {
	states := map[status.Status]State{
		status.CurrentStatus: Healthy, status.InProgressStatus: Progressing,
		status.FailedStatus: Degraded, status.TerminatingStatus: Progressing,
	}
	onPurpose := map[string]string{
		"a Deployment that is complete but for its condition":       "kstatus looks at it with a progress deadline only",
		"a pod without a node":                                      "a node may come; kstatus looks at the clock",
		"a pod whose image is not there":                            "kstatus knows only CrashLoopBackOff",
		"a pod whose init container crashes":                        "kstatus doesn't look at init containers",
		"a pod without its secret":                                  "kstatus knows only CrashLoopBackOff",
		"a pod that has failed":                                     "kstatus calls every end current",
		"a pod that was evicted":                                    "kstatus calls every end current",
		"a job that runs":                                           "kstatus calls a running job current; Flux does not",
		"a job that is about to fail":                               "kstatus waits for the pods to stop",
		"a load balancer without an address":                        "kstatus is content with a cluster IP",
		"a claim that lost its volume":                              "kstatus waits",
		"a claim that cannot grow":                                  "kstatus looks at the phase only",
		"a definition with a bad schema":                            "kstatus waits",
		"a budget that was not computed":                            "kstatus calls every budget current",
		"a budget that cannot be computed":                          "kstatus calls every budget current",
		"a namespace that goes":                                     "kstatus has no rule for it",
		"an autoscaler without a target":                            "kstatus has no rule for it",
		"an autoscaler that no controller has seen":                 "kstatus has no rule for it",
		"an API that is not known":                                  "kstatus has no rule for it",
		"an API that does not answer":                               "kstatus has no rule for it",
		"a volume that failed":                                      "kstatus has no rule for it",
		"a volume that failed with a message":                       "kstatus has no rule for it",
		"a volume that is not there yet":                            "kstatus has no rule for it",
		"a Flux source that is new":                                 "a Flux source always gets a condition",
		"a Helm repository that is new":                             "a Flux source always gets a condition",
		"a custom resource whose condition is old":                  "kstatus doesn't look at a condition's generation",
		"a custom resource that was stalled before its last change": "kstatus doesn't look at a condition's generation",
		"a custom resource with a Ready condition of no meaning":    "kstatus calls it current",
		"a ReplicationController that cannot create pods":           "kstatus has no rule for it",
	}
	for _, f := range fixtures(t) {
		if strings.HasPrefix(f.object.GetAPIVersion(), "gateway.") || f.want.State == Unknown {
			continue // kstatus has no rules for the Gateway API
		}
		result, err := status.Compute(f.object)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		agrees := states[result.Status] == f.want.State
		if _, listed := onPurpose[f.name]; agrees == listed {
			t.Errorf("%s: kstatus says %s (%s), the fixture %s; listed as different on purpose: %v",
				f.name, result.Status, result.Message, f.want.State, listed)
		}
	}
}

func TestAssessNothing(t *testing.T) {
	for name, obj := range map[string]*unstructured.Unstructured{"Nil": nil, "Empty": {}} {
		if got := Assess(obj); got.State != Unknown {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestNeedsBody(t *testing.T) {
	cases := map[schema.GroupVersionKind]bool{
		{Version: "v1", Kind: "ConfigMap"}:                                              false,
		{Version: "v1", Kind: "Secret"}:                                                 false,
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"}: false,
		{Group: "notification.toolkit.fluxcd.io", Version: "v1beta3", Kind: "Alert"}:    false,
		{Group: "apps", Version: "v1", Kind: "Deployment"}:                              true,
		{Version: "v1", Kind: "Service"}:                                                true,
		{Version: "v1", Kind: "Namespace"}:                                              true,
		{Group: "example.org", Version: "v1", Kind: "ConfigMap"}:                        true,
	}
	for gvk, want := range cases {
		if got := NeedsBody(gvk); got != want {
			t.Errorf("%s: got %v, want %v", gvk, got, want)
		}
	}
}

// What needs no body must be judged the same without one.
func TestBodiesThatAreNotNeeded(t *testing.T) {
	for _, f := range fixtures(t) {
		if NeedsBody(f.object.GroupVersionKind()) {
			continue
		}
		metadata := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": f.object.GetAPIVersion(), "kind": f.object.GetKind(), "metadata": f.object.Object["metadata"],
		}}
		if diff := cmp.Diff(f.want, Assess(metadata)); diff != "" {
			t.Errorf("%s: judged by metadata alone (-want +got):\n%s", f.name, diff)
		}
	}
}

func TestHealthyWhenGone(t *testing.T) {
	cases := map[string]bool{
		"apiVersion: batch/v1\nkind: Job\nspec: {ttlSecondsAfterFinished: 0}":        true,
		"apiVersion: batch/v1\nkind: Job\nspec: {}":                                  false,
		"apiVersion: example.org/v1\nkind: Job\nspec: {ttlSecondsAfterFinished: 60}": false,
	}
	for text, want := range cases {
		if got := HealthyWhenGone(parse(t, text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	if HealthyWhenGone(nil) {
		t.Error("nothing was applied")
	}
}

// FuzzAssess feeds arbitrary objects: a verdict must come, and be one of the four.
func FuzzAssess(f *testing.F) {
	for _, fixture := range fixtures(f) {
		content, err := json.Marshal(fixture.object.Object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(`{"apiVersion":1,"kind":[],"metadata":"x","status":{"conditions":{"type":"Ready"}}}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","status":{"phase":"Running","containerStatuses":[1,{"state":[]}]}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		obj := parseJSON(content)
		switch v := Assess(obj); {
		case v.State != Healthy && v.State != Progressing && v.State != Degraded && v.State != Unknown:
			t.Errorf("not a state: %+v", v)
		case v.Reason == "" || v.Message == "":
			t.Errorf("a verdict without a reason or message: %+v", v)
		}
	})
}
