package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Find returns the components that run, of the lab in the given folder or of all labs when lab is empty.
//
// Right after a fork a child is a copy of its parent, marks and name included; of two with one name the older is the component.
func Find(lab string) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	boot, err := bootTime()
	if err != nil {
		return nil, err
	}
	type key struct{ lab, name string }
	at := map[key]int{}
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, ok := inspect(pid, lab, boot)
		if !ok {
			continue
		}
		k := key{p.Lab, p.Name}
		i, twice := at[k]
		switch {
		case !twice:
			at[k] = len(found)
			found = append(found, p)
		case p.Started.Before(found[i].Started):
			found[i] = p
		}
	}
	return found, nil
}

// inspect returns the process if it is a component of the lab. One that has ended in between is not.
func inspect(pid int, lab string, boot time.Time) (Process, bool) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	environ, err := os.ReadFile(filepath.Join(folder, "environ"))
	if err != nil || !bytes.Contains(environ, []byte(labMark+"="+lab)) {
		return Process{}, false
	}
	marks := map[string]string{}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if name, value, ok := strings.Cut(string(entry), "="); ok {
			marks[name] = value
		}
	}
	cmdline, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	argv0, _, _ := bytes.Cut(cmdline, []byte{0})
	if err != nil || string(argv0) != marks[programMark] || (lab != "" && marks[labMark] != lab) {
		return Process{}, false
	}
	started, ok := startOf(folder, boot)
	return Process{PID: pid, Lab: marks[labMark], Name: marks[componentMark], Started: started}, ok
}

// ticksPerSecond is USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// startOf reads when a process began: field 22 of its stat, counted in ticks since boot (proc(5)).
func startOf(folder string, boot time.Time) (time.Time, bool) {
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return time.Time{}, false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name before may hold anything
	if len(fields) < 20 || fields[0] == "Z" {
		return time.Time{}, false
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return boot.Add(time.Duration(ticks) * time.Second / ticksPerSecond), true
}

func bootTime() (time.Time, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, fmt.Errorf("read boot time: %w", err)
	}
	for line := range strings.Lines(string(stat)) {
		if seconds, ok := strings.CutPrefix(line, "btime "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
			if err != nil {
				return time.Time{}, fmt.Errorf("read boot time: %w", err)
			}
			return time.Unix(n, 0), nil
		}
	}
	return time.Time{}, fmt.Errorf("read boot time: /proc/stat has none")
}

// Alive reports whether the process has not ended.
func Alive(pid int) bool {
	_, ok := startOf(filepath.Join("/proc", strconv.Itoa(pid)), time.Time{})
	return ok
}

// Signal sends sig to the process; that it has ended already is no error.
func (p Process) Signal(sig syscall.Signal) error {
	if err := syscall.Kill(p.PID, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("signal %s (pid %d): %w", p.Name, p.PID, err)
	}
	return nil
}
