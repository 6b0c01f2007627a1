package process

import (
	"context"
	"os/exec"
	"syscall"
)

// namespaces are those that an isolated component has of its own.
const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// CanIsolate returns an error when the machine doesn't let this process make namespaces and mount in them.
func CanIsolate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /run")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	return cmd.Run()
}

// MayAdjustOOM reports CAP_SYS_RESOURCE, without which no process can be given a smaller chance of being killed when memory runs
// out.
func MayAdjustOOM() bool { return hasCapability(24) }
