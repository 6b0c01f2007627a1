// Command demo shows Slipway's main job on a cluster of its own: what is in
// Git runs, and stays so. It starts a lab, installs Slipway in it as pods,
// serves a Git repository with the example shop's manifests, and then delivers
// the shop to staging, pushes a change, meddles by hand and pushes something
// broken. Each step is checked; the first that doesn't hold ends the demo with
// exit code 1. The lab stays up, to look around in.
//
// Run it from the top of the repository, as root on Linux: make demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// serveCommand is the sub-command that is the demo's Git server; the tutorial
// uses it, too.
const serveCommand = "serve-git"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out *os.File, errs io.Writer) int {
	if len(args) > 0 && args[0] == serveCommand {
		if err := serveGit(ctx, args[1:]); err != nil {
			fmt.Fprintln(errs, "demo: serve Git:", err)
			return exitFailed
		}
		return exitDone
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errs)
	lab := flags.String("name", "demo", "name of the lab to use")
	limit := flags.Duration("timeout", 30*time.Minute, "how long everything may take; the first run builds Kubernetes")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil || flags.NArg() > 0:
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	ctrllog.SetLogger(logr.Discard()) // the screen says what people want to know
	screen := newScreen(out, time.Now)
	if err := newDemo(*lab, screen).play(ctx); err != nil {
		screen.fail(err)
		return exitFailed
	}
	return exitDone
}
