package build

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize is handed the view as its file system: it must not be able to change
// anything or to see what is outside, whatever it may come to call.
func TestTheViewIsReadOnly(t *testing.T) {
	v := newView(context.Background(), tree(map[string]string{"a/b.yaml": configMap("b"), "out": "-> ../x"}), DefaultLimits())
	name := absolute("a/b.yaml")
	_, createErr := v.Create(name)
	_, openErr := v.Open(name)
	_, readDirErr := v.ReadDir(absolute("a"))
	_, globErr := v.Glob(absolute("*"))
	for call, err := range map[string]error{
		"Create": createErr, "Open": openErr, "ReadDir": readDirErr, "Glob": globErr,
		"Mkdir": v.Mkdir(name), "MkdirAll": v.MkdirAll(name), "RemoveAll": v.RemoveAll(name),
		"WriteFile": v.WriteFile(name, nil), "Walk": v.Walk(name, nil),
	} {
		if err == nil {
			t.Errorf("%s must be refused", call)
		}
	}
	if content, err := v.ReadFile(name); err != nil || string(content) != configMap("b") {
		t.Errorf("the file was changed: %q %v", content, err)
	}
}

func TestTheViewShowsTheTree(t *testing.T) {
	files := tree(map[string]string{"a/b.yaml": configMap("b"), "link": "-> a/b.yaml"})
	v := newView(context.Background(), files, DefaultLimits())
	if !v.IsDir(absolute("a")) || v.IsDir(absolute("a/b.yaml")) || v.IsDir(absolute("gone")) {
		t.Error("IsDir is wrong")
	}
	if !v.Exists(absolute("a/b.yaml")) || v.Exists(absolute("gone")) || v.Exists(absolute("a/b.yaml/c")) {
		t.Error("Exists is wrong")
	}
	if dir, file, err := v.CleanedAbs(absolute("link")); err != nil || dir != filesys.ConfirmedDir(absolute("a")) || file != "b.yaml" {
		t.Errorf("CleanedAbs of a link: %s %s %v", dir, file, err)
	}
	if _, _, err := v.CleanedAbs(absolute("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CleanedAbs of nothing: %v", err)
	}
	if v.Exists("/etc/passwd") || v.failure == nil {
		t.Error("what is outside must not be seen, and must fail the build")
	}
}
