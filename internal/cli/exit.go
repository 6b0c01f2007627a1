package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// usageError is an error in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns an error that ends the process with ExitUsage and a pointer to the command's help.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// quietError ends the process with ExitFailed and prints nothing: the command has said it all.
type quietError struct{ error }

// failedError wraps what a RunE returned, so that it can be told from what cobra found wrong before.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// markStarted wraps every RunE below cmd: an error from inside of one is a failure, any other is wrong usage.
func markStarted(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return failedError{err}
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		markStarted(child)
	}
}

// exit prints err for a person and returns the exit code that belongs to it.
func exit(streams Streams, cmd *cobra.Command, err error) int {
	var (
		usage   usageError
		quiet   quietError
		failed  failedError
		started = errors.As(err, &failed)
	)
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &quiet):
		return ExitFailed
	case errors.As(err, &usage) || !started:
		fmt.Fprintf(streams.Err, "slipway: %s\nRun '%s --help' to see how it is called.\n", reword(cmd, err), cmd.CommandPath())
		return ExitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(streams.Err, "slipway: interrupted")
		return ExitFailed
	default:
		fmt.Fprintf(streams.Err, "slipway: %s\n", explain(err))
		return ExitFailed
	}
}
