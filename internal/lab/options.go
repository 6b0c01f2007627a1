package lab

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/address"
)

// Nodes says what the nodes of a lab are.
type Nodes string

// The kinds of nodes.
const (
	// Real nodes run containers. They need root on Linux.
	Real Nodes = "real"
	// Simulated nodes keep pods Ready without running anything.
	Simulated Nodes = "simulated"
	// None leaves the control plane alone: pods stay Pending.
	None Nodes = "none"
)

// DefaultName is the lab of those who don't name one.
const DefaultName = "default"

// Options say what a lab is to be.
type Options struct {
	// Name of the lab; DefaultName when empty.
	Name string
	// Nodes of the lab. Empty: as they are if the lab exists, else the best that the machine allows.
	Nodes Nodes
	// Workers is how many nodes there are. 0: as many as there are if the lab exists, else 1.
	Workers int
	// Wait is how long Up waits for the cluster once its programs are there; 5 minutes when 0.
	Wait time.Duration
	// Progress is told what happens; nil keeps quiet.
	Progress Progress
	// Install is called once, when the cluster has come up for the first time: it may put into the cluster whatever should be in
	// it from the start. When it fails, the next Up calls it again.
	Install func(ctx context.Context, l *Lab) error
}

// OptionsError says that what was asked for makes no sense, as opposed to something that failed.
type OptionsError struct{ problem string }

func (e *OptionsError) Error() string { return e.problem }

func optionsErrorf(format string, args ...any) error {
	return &OptionsError{problem: fmt.Sprintf(format, args...)}
}

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$`)

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Wait == 0 {
		o.Wait = 5 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = silent{}
	}
	switch {
	case !validName.MatchString(o.Name):
		return o, optionsErrorf("a lab can't be called %q: use at most 30 lower-case letters, digits and dashes", o.Name)
	case o.Nodes != "" && o.Nodes != Real && o.Nodes != Simulated && o.Nodes != None:
		return o, optionsErrorf("unknown kind of nodes %q: use %s, %s or %s", o.Nodes, Real, Simulated, None)
	case o.Workers < 0 || o.Workers > address.MaxNodes:
		return o, optionsErrorf("%d workers: a lab has 1 to %d", o.Workers, address.MaxNodes)
	case o.Workers > 0 && o.Nodes == None:
		return o, optionsErrorf("%d workers without nodes: leave one of the two out", o.Workers)
	}
	return o, nil
}
