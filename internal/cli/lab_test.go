package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/apply"
)

func TestLabAndNameAreOneFlag(t *testing.T) {
	home := t.TempDir()
	t.Setenv("SLIPWAY_HOME", home)
	bystander := filepath.Join(home, "labs", defaultLab)
	if err := os.MkdirAll(bystander, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Down":        {[]string{"down", "--lab", "nope"}, ExitDone, "there is no lab nope"},
		"DownBoth":    {[]string{"down", "--lab", "nope", "--name", "nope"}, ExitDone, "there is no lab nope"},
		"DownTwo":     {[]string{"down", "--lab", "nope", "--name", "other"}, ExitUsage, "two labs"},
		"DownDefault": {[]string{"down", "--lab", "nope", "--name", defaultLab}, ExitUsage, "two labs"},
		"DownAll":     {[]string{"down", "--all", "--lab", "nope"}, ExitUsage, "--all"},
		"DownUnset":   {[]string{"down", "--lab", ""}, ExitUsage, "empty"},
		"DownNoName":  {[]string{"down", "--name", ""}, ExitUsage, "empty"},
		"Status":      {[]string{"status", "--lab", "nope"}, ExitFailed, `lab "nope"`},
		"StatusTwo":   {[]string{"status", "--lab", "nope", "--name", "other"}, ExitUsage, "two labs"},
		"Kubeconfig":  {[]string{"kubeconfig", "--lab", "nope"}, ExitFailed, `lab "nope"`},
		"Up":          {[]string{"up", "--lab", "Ä"}, ExitUsage, "Ä"},
		"UpTwo":       {[]string{"up", "--lab", "nope", "--name", "other"}, ExitUsage, "two labs"},
	} {
		t.Run(name, func(t *testing.T) {
			slipway(t, tc.args...).want(t, tc.code, tc.says)
			if _, err := os.Stat(bystander); err != nil {
				t.Fatalf("lab %s, which nobody named, is touched: %v", defaultLab, err)
			}
		})
	}
}

func TestFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	// Below a file there can't be folders, not even for root.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLIPWAY_HOME", file)
	got := slipway(t, "up", "--nodes", "none", "--bare")
	got.want(t, ExitFailed, file, "not a directory", "SLIPWAY_HOME")
	got.lacks(t, "another command")

	// Nor can a lock be made where a folder has its name.
	home := t.TempDir()
	t.Setenv("SLIPWAY_HOME", home)
	for _, folder := range []string{defaultLab, "." + defaultLab + ".lock"} {
		if err := os.MkdirAll(filepath.Join(home, "labs", folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got = slipway(t, "down")
	got.want(t, ExitFailed, "is a directory", "SLIPWAY_HOME")
	got.lacks(t, "another command")
}

// An up that mends a lab must not take back what an earlier one has granted.
func TestGrantsOfAnInstallationAreSeen(t *testing.T) {
	w := newWorld(t)
	for _, want := range [][]string{nil, deploy.Grants()} {
		objs, err := deploy.Render(deploy.Options{Overlay: labOverlay, Components: want})
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range objs {
			if obj.GetKind() != "ClusterRoleBinding" && obj.GetName() != deploy.AnyModuleRole {
				continue
			}
			if err := w.Create(t.Context(), obj); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.Delete(context.Background(), obj) })
		}
		got, err := w.grants(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got grants %v and error %v, want %v", got, err, want)
		}
	}
}

func TestUnchangedLinesAreLeftOut(t *testing.T) {
	var out strings.Builder
	app := newApp(Streams{Out: changesOnly{&out}})
	app.donef("ClusterRole/a %s", apply.Unchanged)
	app.donef("ClusterRole/b %s", apply.Configured)
	if out.String() != "ClusterRole/b configured\n" {
		t.Errorf("got %q, want the change alone", out.String())
	}
}

func (a answer) lacks(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(a.out+a.err, text) {
		t.Errorf("it says %q\nstdout:\n%s\nstderr:\n%s", text, a.out, a.err)
	}
}
