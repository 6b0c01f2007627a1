//go:build !linux

package process

import (
	"context"
	"errors"
	"syscall"
)

// errNotLinux is what everything here answers on other systems, so that the rest of Slipway can be built for them.
var errNotLinux = errors.New("a lab needs Linux: its processes are found in /proc")

// Start needs Linux.
func Start(context.Context, Spec) error { return errNotLinux }

// Tethered can't exist without Linux.
type Tethered struct{}

// Tether needs Linux.
func Tether(Spec) (*Tethered, error) { return nil, errNotLinux }

// Done never says anything.
func (*Tethered) Done() <-chan struct{} { return nil }

// PID is of no process.
func (*Tethered) PID() int { return 0 }

// Stop has nothing to stop.
func (*Tethered) Stop() {}

// Find needs Linux.
func Find(string) ([]Process, error) { return nil, errNotLinux }

// Alive reports no process.
func Alive(int) bool { return false }

// Signal needs Linux.
func (Process) Signal(syscall.Signal) error { return errNotLinux }

// Stop needs Linux.
func Stop(context.Context, ...Process) error { return errNotLinux }

// Dial needs Linux.
func Dial(context.Context, string) error { return errNotLinux }

// CanIsolate needs Linux.
func CanIsolate(context.Context) error { return errNotLinux }

// MayAdjustOOM is false.
func MayAdjustOOM() bool { return false }
