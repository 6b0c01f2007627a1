package attempt

import (
	"errors"
	"slices"
	"sync"
)

// errNoLane says that a plan can't be made now, since as many as may be are being made.
var errNoLane = errors.New("as many plans as may be are being made")

// lanes bound how many modules are planned at once. Who plans waits for registries, and holds a worker meanwhile; those that are left see to soaks,
// deadlines and rollbacks. Who has to wait comes to its turn in the order in which they asked.
type lanes struct {
	mu      sync.Mutex
	free    int
	waiting []string
}

func newLanes(n int) *lanes { return &lanes{free: n} }

// enter takes a lane for a module, if one is free that nobody waits for who came before. Else the module is woken when it is its turn.
func (l *lanes) enter(module string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.waiting, module)
	if at < 0 {
		at = len(l.waiting)
		l.waiting = append(l.waiting, module)
	}
	if at >= l.free {
		return false
	}
	l.free--
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return true
}

// leave gives a lane back, and returns the modules whose turn it is.
func (l *lanes) leave() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free++
	return l.turn()
}

// quit has a module wait no longer, and returns those whose turn it is for that.
func (l *lanes) quit(module string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.waiting, module)
	if at < 0 {
		return nil
	}
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return l.turn()
}

func (l *lanes) turn() []string { return slices.Clone(l.waiting[:min(l.free, len(l.waiting))]) }

// enterLane takes a lane for the task's module, or has it looked at again later. What it returns gives the lane back.
func (t *task) enterLane() (leave func(), free bool) {
	if !t.lanes.enter(t.m.Name) {
		t.queues = true
		t.again(t.settings.CheckEvery)
		return nil, false
	}
	return func() { t.wakeup.wake(t.lanes.leave()...) }, true
}

// quitLane gives up the module's place among those that wait for a lane, if it was looked at and asked for none: nobody is to wait for it.
func (t *task) quitLane() {
	if !t.queues {
		t.wakeup.wake(t.lanes.quit(t.m.Name)...)
	}
}
