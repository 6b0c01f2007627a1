package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestGroupIsMadeAndRemovedInEveryHierarchy(t *testing.T) {
	cpu, memory, unified := t.TempDir(), t.TempDir(), t.TempDir()
	tree := Tree{roots: []string{cpu, memory}, all: []string{cpu, memory, unified}}
	if err := tree.Ensure("/lab/worker"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Ensure("/lab/worker"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	for _, root := range []string{cpu, memory, unified} {
		// What the kubelet and runc make below, in the hierarchy without controllers, too.
		if err := os.MkdirAll(filepath.Join(root, "lab/worker/kubepods/pod1"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(root, "other"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing left to do
		if err := tree.Remove("/lab"); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{cpu, memory, unified} {
		if _, err := os.Stat(filepath.Join(root, "lab")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s still has the lab's group", root)
		}
		if _, err := os.Stat(filepath.Join(root, "other")); err != nil {
			t.Errorf("another group went, too: %v", err)
		}
	}
}

func TestControllersAreHandedDownInV2(t *testing.T) {
	root := t.TempDir()
	// The kernel makes these files; here they are there before.
	for _, dir := range []string{"", "lab", "lab/worker"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.controllers"), []byte("memory\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Tree{roots: []string{root}, Unified: true}).Ensure("/lab/worker"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "lab", "lab/worker"} {
		if got, err := os.ReadFile(filepath.Join(root, dir, "cgroup.subtree_control")); err != nil || string(got) != "+memory" {
			t.Errorf("the children of /%s were given %q, %v", dir, got, err)
		}
	}
}

func TestNewGroupInheritsProcessors(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "lab"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n", "lab/cpuset.cpus": "\n", "lab/cpuset.mems": "1\n",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Tree{roots: []string{root}}).Ensure("/lab"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "1\n"} {
		if got, err := os.ReadFile(filepath.Join(root, "lab", file)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %q", file, got, err, want)
		}
	}
}

func TestThisMachineHasGroups(t *testing.T) {
	tree, err := Mounted()
	if err != nil {
		t.Skip(err)
	}
	for _, root := range tree.roots {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			t.Errorf("%s is no hierarchy of control groups: %v", root, err)
		}
	}
}
