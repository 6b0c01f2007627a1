package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

// paper is a stream that several write to and one reads.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// working runs an agent for the world's namespace, which serves its artifacts and logs as `slipway agent --log-level=LEVEL` does. For log see running.
func (w *world) working(level string) (log func() string) {
	w.t.Helper()
	address := vacant(w.t)
	opts := agent.Options{DataDir: w.t.TempDir(), Namespaces: []string{w.namespace}, ArtifactAddress: address, Advertise: "http://" + address}
	opts.Kustomizations.AllowAgentIdentity = true
	return w.running(opts, level)
}

// running runs an agent until the test ends. log ends it, so that everything is written, and returns what it logged.
func (w *world) running(opts agent.Options, level string) (log func() string) {
	w.t.Helper()
	var errs paper
	logger, err := newApp(Streams{Err: &errs}).logger(level, "json")
	if err != nil {
		w.t.Fatal(err)
	}
	opts.Log = logger
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, w.config, opts) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("agent: %v", err)
		}
	})
	w.t.Cleanup(func() {
		stop()
		if w.t.Failed() {
			w.t.Log("the agent's log:\n" + errs.String())
		}
	})
	return func() string { stop(); return errs.String() }
}

// vacant returns an address of this machine that nobody listens on.
func vacant(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // the agent takes it
	return listener.Addr().String()
}

// repository serves a Git repository with these files.
func repository(t *testing.T, files map[string]string) (url, revision string) {
	t.Helper()
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	head, err := repo.Commit(t.Context(), files, "all of it")
	if err != nil {
		t.Fatal(err)
	}
	return repo.URL(), "main@sha1:" + head
}

// told is what a test looks for in the log: an object and what became of it.
type told struct{ level, kind, name, reason string }

// What `flux logs` and the alerting of Flux's users read: the keys of the agent's log, and the annotations of its Events.
func TestLogAndEventsSpeakAsFluxDoes(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	w := newWorld(t)
	url, inGit := repository(t, map[string]string{
		"good/a.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"broken/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n",
	})
	image := "oci://" + registryHost(t, "") + "/shop"
	files := folder(t, map[string]string{"b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"})
	pushed := w.slipway("push", "artifact", image+":1.0.0", "--path", files, "--insecure", "--source", "https://git.example.com/shop", "--revision", "main@sha1:abc")
	pushed.want(t, ExitDone)
	_, digest, _ := strings.Cut(strings.TrimSuffix(pushed.out, " pushed\n"), "@")
	inOCI := "1.0.0@" + digest

	log := w.working("info")
	in := []string{"--target-namespace", w.namespace, "--timeout", "3m"}
	w.slipway("create", "source", "git", "shop", "--url", url, "--branch", "main", "--timeout", "3m").want(t, ExitDone)
	w.slipway("create", "source", "git", "absent", "--url", url+"-absent", "--branch", "main", "--timeout", "3m").want(t, ExitFailed)
	w.slipway("create", "source", "oci", "images", "--url", image, "--tag", "1.0.0", "--insecure", "--timeout", "3m").want(t, ExitDone)
	w.slipway(append(in, "create", "kustomization", "good", "--source", "shop", "--path", "./good", "--wait")...).want(t, ExitDone, inGit)
	w.slipway(append(in, "create", "kustomization", "broken", "--source", "shop", "--path", "./broken")...).want(t, ExitFailed)
	w.slipway(append(in, "create", "kustomization", "pulled", "--source", "OCIRepository/images")...).want(t, ExitDone, inOCI)
	text := log()

	const sources, kustomizations = "source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io"
	outcomes := map[told]string{ // and the revision that each is about
		{"info", "GitRepository", "shop", "NewArtifact"}:               inGit,
		{"error", "GitRepository", "absent", "GitOperationFailed"}:     "",
		{"info", "OCIRepository", "images", "NewArtifact"}:             inOCI,
		{"info", "Kustomization", "good", "ReconciliationSucceeded"}:   inGit,
		{"error", "Kustomization", "broken", "BuildFailed"}:            inGit,
		{"info", "Kustomization", "pulled", "ReconciliationSucceeded"}: inOCI,
	}
	groups := map[string]string{"GitRepository": sources, "OCIRepository": sources, "Kustomization": kustomizations}
	seen := map[told]bool{}
	for raw := range strings.Lines(text) {
		line, err := fluxLine(raw)
		if err != nil {
			t.Errorf("%v: %s", err, raw)
			continue
		}
		if line["name"] == nil && line["reason"] == nil {
			continue // about no object
		}
		kind := str(line["controllerKind"])
		for key, want := range map[string]string{"controllerGroup": groups[kind], "controller": strings.ToLower(kind), "namespace": w.namespace} {
			if str(line[key]) != want || want == "" {
				t.Errorf("%s is %q, want %q: %s", key, line[key], want, raw)
			}
		}
		if str(line["name"]) == "" || str(line["reconcileID"]) == "" {
			t.Errorf("the line has no name or no reconcileID: %s", raw)
		}
		outcome := told{str(line["level"]), kind, str(line["name"]), str(line["reason"])}
		if revision, ok := outcomes[outcome]; ok && str(line["revision"]) != revision {
			t.Errorf("the revision is %q, want %q: %s", line["revision"], revision, raw)
		}
		if origin := str(line["originRevision"]); outcome.name == "pulled" && outcome.reason == "ReconciliationSucceeded" && origin != "main@sha1:abc" {
			t.Errorf("the origin's revision is %q: %s", origin, raw)
		}
		if outcome.level == "error" && str(line["error"]) == "" {
			t.Errorf("an error that doesn't say which: %s", raw)
		}
		seen[outcome] = true
	}

	var events corev1.EventList
	if err := w.List(t.Context(), &events, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	annotated := map[told]map[string]string{}
	for _, e := range events.Items {
		level := map[string]string{corev1.EventTypeNormal: "info", corev1.EventTypeWarning: "error"}[e.Type]
		annotated[told{level, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason}] = e.Annotations
	}
	for outcome, revision := range outcomes {
		annotations, ok := annotated[outcome]
		if !seen[outcome] || !ok {
			t.Errorf("%+v: in the log %t, an Event %t\n%s", outcome, seen[outcome], ok, text)
		}
		if got := annotations[groups[outcome.kind]+"/revision"]; got != revision {
			t.Errorf("the Event of %+v is about revision %q, want %q", outcome, got, revision)
		}
		origin := ""
		if outcome.name == "pulled" {
			origin = "main@sha1:abc"
		}
		if got := annotations[groups[outcome.kind]+"/originRevision"]; outcome.kind == "Kustomization" && got != origin {
			t.Errorf("the Event of %+v is about the origin's revision %q, want %q", outcome, got, origin)
		}
	}
}

// fluxLine reads a line of log, which must have what every line of Flux's has.
func fluxLine(raw string) (map[string]any, error) {
	var line map[string]any
	if err := json.Unmarshal([]byte(raw), &line); err != nil {
		return nil, err
	}
	if level := str(line["level"]); level != "info" && level != "error" {
		return nil, errors.New("the level is neither info nor error")
	}
	if _, err := time.Parse(time.RFC3339Nano, str(line["ts"])); err != nil {
		return nil, err
	}
	if str(line["msg"]) == "" {
		return nil, errors.New("no msg")
	}
	return line, nil
}

// str returns a value that is text, and nothing for any other.
func str(value any) string {
	text, _ := value.(string)
	return text
}

// What libraries write beside the log is in the log, each line once, and nobody has to wait for it to be read.
func TestLinesOfLibrariesAreLogged(t *testing.T) {
	var errs paper
	logger, err := newApp(Streams{Err: &errs}).logger("info", "json")
	if err != nil {
		t.Fatal(err)
	}
	const warning = "# Warning: 'commonLabels' is deprecated."
	tellLines(logger, strings.NewReader(warning+"\n"+warning+"\n\nanother one\n"+strings.Repeat("x", maxLine+1)+"\nlost\n"))
	var said []string
	for line := range strings.Lines(errs.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level != "info" {
			t.Fatalf("%v: %s", err, line)
		}
		said = append(said, entry.Msg)
	}
	if want := []string{"A library says: " + warning, "A library says: another one"}; !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
}
