// Package sysctl sets what labs need of the machine's kernel, and puts back what it was when no lab is left.
package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Setting is a number that the kernel has for the whole machine.
type Setting struct {
	path  string // below /proc/sys
	note  string // file with the number as it was; like the setting itself it doesn't outlive a reboot
	least int
	what  string
}

// Forwarding has the host pass on packets between its networks.
func Forwarding() Setting {
	return Setting{path: "/proc/sys/net/ipv4/ip_forward", note: "/run/slipway-lab-ip-forward", least: 1, what: "forwarding of packets"}
}

// InotifyInstances lets processes watch files: each lab needs some twenty instances, and the kernel's default for a user is 128.
func InotifyInstances() Setting {
	return Setting{
		path: "/proc/sys/fs/inotify/max_user_instances", note: "/run/slipway-lab-inotify-instances", least: 8192, what: "number of inotify instances",
	}
}

// Need lists all settings that a lab with real nodes needs.
func Need() []Setting { return []Setting{Forwarding(), InotifyInstances()} }

// Raise sets the number if it is too low, and remembers what it was.
func (s Setting) Raise() error {
	now, err := read(s.path)
	if err != nil {
		return fmt.Errorf("look at the kernel's %s: %w", s.what, err)
	}
	if now >= s.least {
		return nil
	}
	if err := remember(s.note, now); err != nil {
		return fmt.Errorf("note the kernel's %s: %w", s.what, err)
	}
	if err := write(s.path, s.least); err != nil {
		return fmt.Errorf("set the kernel's %s: %w", s.what, err)
	}
	return nil
}

// Restore sets the number to what Raise found, if that changed it.
func (s Setting) Restore() error {
	was, err := read(s.note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up what the kernel's %s was: %w", s.what, err)
	}
	if err := write(s.path, was); err != nil {
		return fmt.Errorf("restore the kernel's %s: %w", s.what, err)
	}
	return os.Remove(s.note)
}

// remember keeps the first note: a later one would say what an earlier lab has set.
func remember(note string, number int) error {
	if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(note, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, number)
	return err
}

func read(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func write(path string, number int) error {
	return os.WriteFile(path, []byte(strconv.Itoa(number)), 0o644)
}
