package process

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// poll is how often a process is looked at while its end is awaited.
const poll = 20 * time.Millisecond

// Stop ends components and waits until they are gone. They are killed, not asked: nothing in a lab needs to be saved.
func Stop(ctx context.Context, components ...Process) error {
	for _, p := range components {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	for _, p := range components {
		err := wait.PollUntilContextTimeout(ctx, poll, 10*time.Second, true, func(context.Context) (bool, error) {
			return !Alive(p.PID), nil
		})
		if err != nil {
			return fmt.Errorf("wait for the end of %s (pid %d): %w", p.Name, p.PID, err)
		}
	}
	return nil
}
