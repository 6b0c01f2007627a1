package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/address"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/lockfile"
	"github.com/slipway-dev/slipway/internal/lab/network"
)

// create decides what a new lab is and writes its record.
func create(ctx context.Context, dir string, o Options) (*Lab, error) {
	l := &Lab{dir: dir, record: record{Name: o.Name, Nodes: o.Nodes, Workers: o.Workers, Created: time.Now().UTC().Truncate(time.Second)}}
	if l.record.Nodes == "" {
		best, why := Best(ctx)
		l.record.Nodes = best
		o.Progress.Note(fmt.Sprintf("Nodes: %s (%s)", best, why))
	}
	if l.record.Nodes != None {
		l.record.Workers = cmp.Or(l.record.Workers, 1)
	}
	if l.record.Nodes == Real {
		if err := qualify(ctx, o.Progress); err != nil {
			return nil, err
		}
	}
	// What a killed command may have left where nobody has written a record yet.
	if err := l.clean(ctx); err != nil {
		return nil, fmt.Errorf("clean up after an earlier lab %s: %w", o.Name, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("make the lab's folder: %w", err)
	}
	return l, l.allocate(ctx)
}

// qualify makes sure that real nodes can run, and installs what they need.
func qualify(ctx context.Context, progress Progress) error {
	if err := RealNodesPossible(ctx); err != nil {
		return fmt.Errorf("%w; --nodes %s works here", err, Simulated)
	}
	packages := missing()
	if len(packages) == 0 {
		return nil
	}
	slices.Sort(packages)
	done := progress.Step("Install " + strings.Join(packages, ", "))
	err := install(ctx, packages)
	if err == nil && len(missing()) > 0 {
		err = fmt.Errorf("still missing after their installation: %s", strings.Join(missing(), ", "))
	}
	done(err)
	return err
}

// allocate gives the lab a block of addresses and ports that nothing else on the machine has.
func (l *Lab) allocate(ctx context.Context) error {
	lock, err := lockfile.Acquire(ctx, filepath.Join(os.TempDir(), "slipway-lab.lock"))
	if err != nil {
		return fmt.Errorf("another lab is being made: %w", err)
	}
	defer lock.Remove()
	taken, err := recorded(filepath.Dir(l.dir))
	if err != nil {
		return err
	}
	for _, port := range []*int{&l.record.Ports.APIServer, &l.record.Ports.Registry, &l.record.Ports.DNS, &l.record.Ports.Metrics} {
		if *port, err = freePort(taken); err != nil {
			return err
		}
	}
	if l.record.Nodes == Real {
		// With the bridge the block is in use for all to see, also for labs of other folders.
		if err := l.allocateBlock(ctx, taken); err != nil {
			return err
		}
	}
	return l.record.write(l.dir)
}

func (l *Lab) allocateBlock(ctx context.Context, others []record) error {
	inUse, err := network.InUse(ctx)
	if err != nil {
		return err
	}
	plan, err := address.Free(func(slot int) bool {
		return slices.ContainsFunc(others, func(r record) bool { return r.Nodes == Real && r.Slot == slot })
	}, inUse)
	if err != nil {
		return err
	}
	l.record.Slot = plan.Slot
	return network.EnsureHost(ctx, l.id(), plan)
}

// recorded returns the records of all labs beside this one. One that can't be read owns nothing that could be respected.
func recorded(labs string) ([]record, error) {
	existing, err := names(labs)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, name := range existing {
		if r, err := readRecord(filepath.Join(labs, name)); err == nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// freePort returns a port on which nobody listens on any address, and that no other lab will want when it is started again.
func freePort(others []record) (int, error) {
	const tries = 100
	for range tries {
		port, err := control.FreePort("")
		if err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(others, func(r record) bool {
			return slices.Contains([]int{r.Ports.APIServer, r.Ports.Registry, r.Ports.DNS, r.Ports.Metrics}, port)
		}) {
			return port, nil
		}
	}
	return 0, errors.New("no free port found that no other lab has")
}
