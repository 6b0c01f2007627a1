package attempt

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// errNoLane says that a plan can't be made now, since as many as may be are being made.
var errNoLane = errors.New("as many plans as may be are being made")

// lanes bound how many modules are planned at once. Who plans waits for registries, and holds a worker meanwhile; those that are left see to soaks,
// deadlines and rollbacks. Who has to wait comes to its turn in the order in which they asked.
type lanes struct {
	mu      sync.Mutex
	free    int
	waiting []ticket
}

// ticket is a module's place among those that wait.
type ticket struct {
	module string
	// version is what the Module was when it asked, and asked since when that is so.
	version string
	asked   time.Time
}

func newLanes(n int) *lanes { return &lanes{free: n} }

// enter takes a lane for a module, if one is free that nobody waits for who came before, and says since when it has waited as it is, in that
// version. Else the module is woken when it is its turn.
func (l *lanes) enter(module, version string) (asked time.Time, free bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.place(module)
	if at < 0 {
		at = len(l.waiting)
		l.waiting = append(l.waiting, ticket{module: module})
	}
	if t := &l.waiting[at]; t.version != version || t.asked.IsZero() {
		t.version, t.asked = version, time.Now()
	}
	asked = l.waiting[at].asked
	if at >= l.free {
		return asked, false
	}
	l.free--
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return asked, true
}

// place is a module's among those that wait; -1: it doesn't. It needs l.mu held.
func (l *lanes) place(module string) int {
	return slices.IndexFunc(l.waiting, func(t ticket) bool { return t.module == module })
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
	at := l.place(module)
	if at < 0 {
		return nil
	}
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return l.turn()
}

func (l *lanes) turn() (modules []string) {
	for _, t := range l.waiting[:min(l.free, len(l.waiting))] {
		modules = append(modules, t.module)
	}
	return modules
}

// enterLane takes a lane for the task's module, or has it looked at again later. It says since when a plan of the Module as it is was asked for;
// leave gives the lane back.
func (t *task) enterLane() (asked time.Time, leave func(), free bool) {
	if asked, free = t.lanes.enter(t.m.Name, t.before.ResourceVersion); !free {
		t.queues = true
		t.again(t.settings.CheckEvery)
		return asked, nil, false
	}
	return asked, func() { t.wakeup.wake(t.lanes.leave()...) }, true
}

// quitLane gives up the module's place among those that wait for a lane, if it was looked at and asked for none: nobody is to wait for it.
func (t *task) quitLane() {
	if !t.queues {
		t.wakeup.wake(t.lanes.quit(t.m.Name)...)
	}
}
