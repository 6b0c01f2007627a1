package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/cgroup"
	"github.com/slipway-dev/slipway/internal/lab/lockfile"
	"github.com/slipway-dev/slipway/internal/lab/network"
	"github.com/slipway-dev/slipway/internal/lab/node"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// Down ends a lab and removes everything of it: processes, mounts, network devices, rules, control groups, files. It needs no
// record, so it also removes what is left of a lab whose Up or Down was killed. It reports whether there was anything.
func Down(ctx context.Context, name string) (bool, error) {
	labs, err := folder()
	if err != nil {
		return false, err
	}
	if name == "" {
		name = DefaultName
	}
	if !validName.MatchString(name) {
		return false, fmt.Errorf("lab %q: %w: no lab can have that name", name, ErrNotFound)
	}
	l := &Lab{dir: filepath.Join(labs, name)}
	if there, err := l.exists(); err != nil || !there {
		return false, err
	}
	lock, err := lockfile.Acquire(ctx, lockPath(labs, name))
	if err != nil {
		return true, lockError(name, err)
	}
	defer lock.Remove()
	if err := l.clean(ctx); err != nil {
		return true, fmt.Errorf("remove lab %s: %w", name, err)
	}
	return true, nil
}

// Names returns the labs that have a record or processes in this user's folder.
func Names() ([]string, error) {
	labs, err := folder()
	if err != nil {
		return nil, err
	}
	found, err := names(labs)
	if err != nil {
		return nil, err
	}
	running, err := process.Find("")
	if err != nil {
		return nil, err
	}
	for _, p := range running {
		if filepath.Dir(p.Lab) == labs {
			found = append(found, filepath.Base(p.Lab))
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// exists reports whether there is a folder or a process of the lab.
func (l *Lab) exists() (bool, error) {
	if _, err := os.Stat(l.dir); err == nil {
		return true, nil
	}
	running, err := process.Find(l.dir)
	return len(running) > 0, err
}

// clean removes everything that bears the lab's mark.
func (l *Lab) clean(ctx context.Context) error {
	if err := l.stop(ctx); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := l.cleanHost(ctx); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("remove the lab's folder: %w", err)
	}
	return nil
}

// rounds is how often stop looks for processes: one that was just being started may show up in the second.
const rounds = 5

// stop ends every process of the lab. With a node's init all others in its namespaces end, containers included.
func (l *Lab) stop(ctx context.Context) error {
	for range rounds {
		running, err := process.Find(l.dir)
		if err != nil || len(running) == 0 {
			return err
		}
		slices.SortFunc(running, func(a, b process.Process) int { return rank(a) - rank(b) })
		if err := process.Stop(ctx, running...); err != nil {
			return err
		}
	}
	return errors.New("its processes come back: is another command starting it?")
}

func rank(p process.Process) int {
	if strings.HasSuffix(p.Name, "/"+node.Init) {
		return 0
	}
	return 1
}

// cleanHost removes what only a lab with real nodes has.
func (l *Lab) cleanHost(ctx context.Context) error {
	if len(missing()) == 0 {
		if err := network.RemoveHost(ctx, l.id()); err != nil {
			return err
		}
	}
	groups, err := cgroup.Mounted()
	if errors.Is(err, cgroup.ErrNone) {
		return nil // neither has the lab
	}
	if err != nil {
		return err
	}
	return groups.Remove(l.cgroup())
}
