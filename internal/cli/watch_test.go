package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/deploy"
)

func event(name, kind, about, typ, message string, ago time.Duration) *corev1.Event {
	apiVersion := map[string]string{"Kustomization": "kustomize.toolkit.fluxcd.io/v1", "GitRepository": "source.toolkit.fluxcd.io/v1"}[kind]
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name},
		InvolvedObject: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: about},
		Type:           typ, Reason: "Reason", Message: message, LastTimestamp: metav1.NewTime(time.Now().Add(-ago)),
	}
}

// inNamespace points an event at the namespace it is made in, as the API server demands.
func (w *world) happen(events ...*corev1.Event) {
	for _, e := range events {
		e.InvolvedObject.Namespace = w.namespace
		w.has(e)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.slipway("events").want(t, ExitDone, "no events")
	w.happen(
		event("late", "Kustomization", "shop", "Warning", "build failed", time.Minute),
		event("early", "GitRepository", "shop", "Normal", "stored artifact", time.Hour),
		event("foreign", "Pod", "cart", "Normal", "Pulled image", time.Minute),
	)
	got := w.slipway("events")
	got.want(t, ExitDone, "GitRepository/shop", "build failed")
	if strings.Index(got.out, "stored artifact") > strings.Index(got.out, "build failed") {
		t.Errorf("the youngest comes first:\n%s", got.out)
	}
	if strings.Contains(got.out, "Pulled image") {
		t.Errorf("an event of a pod is shown:\n%s", got.out)
	}
	only := w.slipway("events", "--for", "source/shop", "-A")
	only.want(t, ExitDone, w.namespace, "stored artifact")
	if strings.Contains(only.out, "build failed") {
		t.Errorf("an event of another object is shown:\n%s", only.out)
	}
	warnings := w.slipway("events", "--types", "warning", "-o", "json")
	var list corev1.EventList
	if err := json.Unmarshal([]byte(warnings.out), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Name != "late" {
		t.Errorf("%d warnings, want the one", len(list.Items))
	}
}

func TestEventsAreFollowed(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &until{text: "fetched again", found: cancel}
	ended := make(chan int)
	go func() {
		ended <- Run(ctx, Streams{In: strings.NewReader(""), Out: out, Err: out}, []string{"events", "--watch", "--kubeconfig", w.kubeconfig})
	}()
	w.happen(event("now", "GitRepository", "shop", "Normal", "fetched again", 0))
	if code := <-ended; code != ExitDone {
		t.Errorf("exit code %d, want %d: an interrupt is how one ends it\n%s", code, ExitDone, out.String())
	}
	if !strings.Contains(out.String(), "fetched again") {
		t.Errorf("the event isn't shown:\n%s", out.String())
	}
}

// until is written to by one goroutine, and calls found when text was.
type until struct {
	bytes.Buffer
	text  string
	found func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.text) {
		u.found()
	}
	return n, err
}

const (
	infoLine  = `{"level":"info","ts":"2026-01-02T03:04:06.000Z","msg":"applied","controllerKind":"Kustomization","namespace":"team","name":"shop","revision":"main@sha1:01"}`
	errorLine = `{"level":"error","ts":"2026-01-02T03:04:05.000Z","msg":"fetch failed","error":"no such branch","controllerKind":"GitRepository","namespace":"team","name":"repo"}`
	panicLine = "panic: oh no"
)

// apiWithLogs is as much of an API server as reading the logs of pods needs. Real pods are beyond a control plane.
func apiWithLogs(t *testing.T, logs map[string]string) (kubeconfig string) {
	t.Helper()
	pods := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	mux := http.NewServeMux()
	reply := func(path string, value any) {
		mux.HandleFunc("GET "+path, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(rw).Encode(value); err != nil {
				t.Error(err)
			}
		})
	}
	for name, log := range logs {
		pods.Items = append(pods.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: deploy.Namespace}})
		mux.HandleFunc("GET /api/v1/namespaces/"+deploy.Namespace+"/pods/"+name+"/log", func(rw http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(rw, log)
		})
	}
	reply("/api/v1/namespaces/"+deploy.Namespace+"/pods", pods)
	reply("/apis", metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList"}})
	reply("/api", metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	reply("/api/v1", metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: "v1",
		APIResources: []metav1.APIResource{{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: metav1.Verbs{"list"}}},
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	writeFile(t, kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {}}]
`, server.URL))
	return kubeconfig
}

func TestLogs(t *testing.T) {
	config := apiWithLogs(t, map[string]string{
		"slipway-agent-0": infoLine + "\n" + panicLine + "\n",
		"slipway-agent-1": errorLine + "\n",
	})
	for name, tc := range map[string]struct {
		reason string
		args   []string
		want   []string
		not    []string
	}{
		"All":       {"everything there is", nil, []string{"Kustomization/team/shop: applied revision=main@sha1:01", panicLine, "no such branch"}, []string{"{"}},
		"Follow":    {"the same as it comes", []string{"-f"}, []string{"applied", "no such branch"}, nil},
		"Level":     {"what isn't an error is left out, what isn't structured may be one", []string{"--level", "error"}, []string{"no such branch", panicLine}, []string{"applied"}},
		"Kind":      {"what is about others is left out", []string{"--kind", "ks"}, []string{"applied"}, []string{"no such branch", panicLine}},
		"Name":      {"what is about others is left out", []string{"--name", "repo"}, []string{"no such branch"}, []string{"applied"}},
		"Namespace": {"what is about others is left out", []string{"-n", "other"}, nil, []string{"applied", "no such branch"}},
		"Raw":       {"as the agent wrote it", []string{"-o", "json"}, []string{infoLine, errorLine}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := slipway(t, append([]string{"logs", "--kubeconfig", config}, tc.args...)...)
			got.want(t, ExitDone, tc.want...)
			for _, text := range tc.not {
				if strings.Contains(got.out, text) {
					t.Errorf("%s, but %q is shown:\n%s", tc.reason, text, got.out)
				}
			}
		})
	}
	got := slipway(t, "logs", "--kubeconfig", config)
	if strings.Index(got.out, "no such branch") > strings.Index(got.out, "applied") {
		t.Errorf("the lines of two pods aren't in the order of time:\n%s", got.out)
	}
}

func TestLogsWithoutAnAgent(t *testing.T) {
	config := apiWithLogs(t, nil)
	slipway(t, "logs", "--kubeconfig", config).want(t, ExitFailed, "no pod of the agent", "slipway install")
	slipway(t, "logs", "--level", "loud").want(t, ExitUsage, "debug, info or error")
}
