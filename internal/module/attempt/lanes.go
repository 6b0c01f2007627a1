package attempt

import (
	"errors"
	"sync"
)

// errNoLane says that a plan can't be made now, since as many as may be are being made.
var errNoLane = errors.New("as many plans as may be are being made")

// lanes bound how many modules are planned at once. Who plans waits for registries, and holds a worker meanwhile; those that are left see to soaks,
// deadlines and rollbacks.
type lanes struct {
	mu      sync.Mutex
	free    int
	waiting map[string]bool
}

func newLanes(n int) *lanes { return &lanes{free: n, waiting: map[string]bool{}} }

// enter takes a lane for a module, if one is free. Else the module is woken when one is.
func (l *lanes) enter(module string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == 0 {
		l.waiting[module] = true
		return false
	}
	l.free--
	delete(l.waiting, module)
	return true
}

// leave gives a lane back, and returns the modules that wait for one.
func (l *lanes) leave() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free++
	var modules []string
	for m := range l.waiting {
		modules = append(modules, m)
	}
	clear(l.waiting)
	return modules
}

// enterLane takes a lane for the task's module, or has it looked at again later. What it returns gives the lane back.
func (t *task) enterLane() (leave func(), free bool) {
	if !t.lanes.enter(t.m.Name) {
		t.again(t.settings.CheckEvery)
		return nil, false
	}
	return func() { t.wakeup.wake(t.lanes.leave()...) }, true
}
