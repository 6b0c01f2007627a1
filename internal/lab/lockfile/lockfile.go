// Package lockfile keeps processes of one user apart while they change the same thing. A lock ends with the process that holds
// it, however it ends. It is for short exclusive work on one machine, not for folders that are shared over a network.
package lockfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// poll is how often a lock that another process holds is tried.
const poll = 100 * time.Millisecond

// Lock is held until it is released.
type Lock struct {
	file *os.File
}

// Acquire waits until it holds the lock at path, whose folder is made if need be.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	var held *os.File
	err := wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) {
		var err error
		held, err = try(path)
		return held != nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{file: held}, nil
}

// try returns nil when another process holds the lock, or removed the file while it was being locked.
func try(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && isAt(file, path) {
		return file, nil
	}
	file.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	return nil, err
}

// isAt reports whether path still leads to the open file.
func isAt(file *os.File, path string) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// Release lets others have the lock.
func (l *Lock) Release() { l.file.Close() }

// Remove lets others have the lock and leaves no file behind.
func (l *Lock) Remove() {
	os.Remove(l.file.Name())
	l.file.Close()
}
