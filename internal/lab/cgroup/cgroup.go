// Package cgroup makes and removes the control groups under which a lab's pods run, in every hierarchy of cgroup v1 or in the one
// of v2. What happens below is the kubelet's and the container runtime's business.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Tree is the machine's control groups.
type Tree struct {
	// Unified says that it is cgroup v2.
	Unified bool
	// roots are the hierarchies with controllers, all also the one without that machines with both versions have: container
	// runtimes keep their processes there, too.
	roots, all []string
}

// ErrNone says that the machine has no control groups.
var ErrNone = errors.New("no control groups are mounted: expected them under /sys/fs/cgroup")

// Mounted finds the hierarchies that this process sees. On a machine with both versions, v1 has the controllers.
func Mounted() (Tree, error) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return Tree{}, fmt.Errorf("list mounts: %w", err)
	}
	defer mounts.Close()
	var one, two []string
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			continue
		}
		switch {
		case fields[2] == "cgroup":
			one = append(one, fields[1])
		case fields[2] == "cgroup2":
			two = append(two, fields[1])
		}
	}
	if err := lines.Err(); err != nil {
		return Tree{}, fmt.Errorf("list mounts: %w", err)
	}
	switch {
	case len(one) > 0:
		return Tree{roots: one, all: append(two, one...)}, nil
	case len(two) > 0:
		return Tree{roots: two[:1], all: two, Unified: true}, nil
	}
	return Tree{}, ErrNone
}

// Ensure makes the group in every hierarchy. path starts with a slash.
func (t Tree) Ensure(path string) error {
	for _, root := range t.roots {
		if err := t.ensure(root, path); err != nil {
			return fmt.Errorf("make control group %s: %w", path, err)
		}
	}
	return nil
}

func (t Tree) ensure(root, path string) error {
	dir := root
	for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
		if t.Unified {
			if err := delegate(dir); err != nil {
				return err
			}
		}
		parent := dir
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := inheritCPUs(parent, dir); err != nil {
			return err
		}
	}
	if t.Unified {
		return delegate(dir)
	}
	return nil
}

// delegate gives the children of a v2 group all of its controllers.
func delegate(dir string) error {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("give controller %s to its children: %w", controller, err)
		}
	}
	return nil
}

// inheritCPUs fills in what a new group of the v1 cpuset hierarchy lacks before processes may enter it.
func inheritCPUs(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || len(strings.TrimSpace(string(own))) > 0 {
			continue // another hierarchy, or filled in already
		}
		inherited, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil || len(strings.TrimSpace(string(inherited))) == 0 {
			continue // v2, where empty means the parent's
		}
		if err := os.WriteFile(filepath.Join(dir, file), inherited, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the group and all below it from every hierarchy. Their processes must have ended.
func (t Tree) Remove(path string) error {
	for _, root := range t.all {
		if err := remove(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("remove control group %s: %w", path, err)
		}
	}
	return nil
}

func remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
