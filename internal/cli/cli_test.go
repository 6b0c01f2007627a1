package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// nowhere makes sure that no kubeconfig of the machine is found.
func nowhere(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

func TestExitCodes(t *testing.T) {
	nowhere(t)
	for name, tc := range map[string]struct {
		reason string
		args   []string
		code   int
		says   []string
	}{
		"Nothing":         {"who types the name alone wants to know what there is", nil, ExitDone, []string{"Usage:", "slipway up"}},
		"Help":            {"help is what was asked for", []string{"get", "--help"}, ExitDone, []string{"Examples:"}},
		"UnknownCommand":  {"a typing mistake", []string{"gte"}, ExitUsage, []string{"unknown command", `did you mean "get"`, "--help"}},
		"OneLetterMore":   {"the nearest command is meant, not the first by name", []string{"gett"}, ExitUsage, []string{`did you mean "get"`}},
		"UnknownEvents":   {"types of events are two", []string{"events", "--types", "Foo"}, ExitUsage, []string{"Normal", "Warning"}},
		"UnknownLevel":    {"levels are few", []string{"logs", "--level", "warn"}, ExitUsage, []string{"debug, info or error"}},
		"KindSlashName":   {"KIND/NAME is KIND NAME", []string{"tree", "ks/shop"}, ExitFailed, []string{"--kubeconfig"}},
		"DiffSlashName":   {"KIND/NAME is KIND NAME", []string{"diff", "ks/shop", "--path", "."}, ExitFailed, []string{"--kubeconfig"}},
		"NotThatKind":     {"a source has no tree", []string{"tree", "source/shop"}, ExitUsage, []string{"unknown command"}},
		"UnknownFlag":     {"a typing mistake", []string{"get", "--al"}, ExitUsage, []string{"no flag --al; did you mean --all-namespaces?", "slipway get --help"}},
		"UnknownLetter":   {"a typing mistake", []string{"get", "-z"}, ExitUsage, []string{"slipway get has no flag -z"}},
		"ValueMissing":    {"something is missing", []string{"get", "-n"}, ExitUsage, []string{"-n needs a value"}},
		"UnknownChild":    {"a typing mistake", []string{"tree", "deployment"}, ExitUsage, []string{"unknown command"}},
		"GroupAlone":      {"something is missing", []string{"tree"}, ExitUsage, []string{"kustomization"}},
		"TooManyArgs":     {"something is too much", []string{"version", "now"}, ExitUsage, []string{"slipway version takes no arguments", "slipway version --help"}},
		"TooFewArgs":      {"something is missing", []string{"reconcile"}, ExitUsage, []string{"something is missing: slipway reconcile KIND NAME", "slipway reconcile --help"}},
		"UnknownFormat":   {"formats are few", []string{"get", "-o", "broad"}, ExitUsage, []string{"table, wide, json, yaml"}},
		"UnknownKind":     {"kinds are few", []string{"get", "helmrelease"}, ExitUsage, []string{"gitrepository"}},
		"NameMissing":     {"KIND alone names nothing", []string{"suspend", "ks"}, ExitUsage, []string{"name is missing"}},
		"UnknownOverlay":  {"overlays are few", []string{"install", "--overlay", "test", "-o", "yaml"}, ExitUsage, []string{"dev, prod"}},
		"UnknownGrant":    {"grants are few", []string{"install", "--grant", "root", "-o", "yaml"}, ExitUsage, []string{"cluster-admin"}},
		"ExclusiveFlags":  {"two clusters are meant", []string{"get", "--lab", "a", "--kubeconfig", "b"}, ExitUsage, []string{"only one of --kubeconfig and --lab"}},
		"NoCluster":       {"there is nothing to work on", []string{"get"}, ExitFailed, []string{"--kubeconfig", "slipway up", "--lab NAME"}},
		"NoSuchFile":      {"the file is a mistake", []string{"get", "--kubeconfig", "/no/such"}, ExitFailed, []string{"/no/such"}},
		"NoSuchLab":       {"the lab is a mistake", []string{"get", "--lab", "nosuch"}, ExitFailed, []string{"nosuch", "slipway up"}},
		"Unattended":      {"nobody can answer", []string{"uninstall", "--lab", "nosuch"}, ExitFailed, []string{"nosuch"}},
		"ImageWithoutTag": {"something is missing", []string{"image", "build", "--binary", "x"}, ExitUsage, []string{"--tag"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := slipway(t, tc.args...)
			got.want(t, tc.code, tc.says...)
			if tc.code != ExitDone && got.out != "" {
				t.Errorf("%s: an error is no result, but stdout has:\n%s", tc.reason, got.out)
			}
		})
	}
}

func TestUnreachableClusterIsNamed(t *testing.T) {
	nowhere(t)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	writeFile(t, config, `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
`)
	slipway(t, "get", "--kubeconfig", config).want(t, ExitFailed, "127.0.0.1:1", "doesn't answer", "slipway up")
}

func TestEveryCommandExplainsItself(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			visit(child)
		}
		if cmd.Hidden || cmd.Name() == "help" || strings.HasPrefix(cmd.CommandPath(), "slipway completion") {
			return
		}
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%q lacks a short text, a long one, or an example", cmd.CommandPath())
		}
		if !strings.Contains(cmd.Example, "slipway") {
			t.Errorf("the example of %q calls something else", cmd.CommandPath())
		}
	}
	visit(New(Streams{}))
}

func TestVersionIsReadableByMachines(t *testing.T) {
	got := slipway(t, "version", "-o", "json")
	got.want(t, ExitDone)
	var info versionInfo
	if err := json.Unmarshal([]byte(got.out), &info); err != nil {
		t.Fatal(err)
	}
	if info.Version == "" || info.Go == "" || info.Platform == "" {
		t.Errorf("incomplete: %+v", info)
	}
	slipway(t, "version").want(t, ExitDone, "slipway "+info.Version, info.Platform)
}

func TestCompletionOffersKinds(t *testing.T) {
	nowhere(t)
	slipway(t, "__complete", "reconcile", "").want(t, ExitDone, "source", "kustomization")
	slipway(t, "__complete", "get", "-o", "").want(t, ExitDone, "table", "json", "yaml")
	slipway(t, "completion", "bash").want(t, ExitDone, "slipway")
}

func TestOutputIsPlainForFilesAndPaintedForPeople(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if s := styleFor(file); s.terminal || s.colour {
		t.Errorf("a file is taken for a terminal: %+v", s)
	}
	painted := style{terminal: true, colour: true}.good("True")
	if painted == "True" || visibleWidth(painted) != len("True") {
		t.Errorf("%q isn't painted, or counts as %d characters", painted, visibleWidth(painted))
	}
	if plain := (style{terminal: true}).bad("False"); plain != "False" {
		t.Errorf("with NO_COLOR: %q, want no colours", plain)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
