package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes of the command.
const (
	// ExitDone says that what was asked for is done.
	ExitDone = 0
	// ExitFailed says that it was understood and could not be done.
	ExitFailed = 1
	// ExitUsage says that it was not understood: an unknown command or flag, or wrong arguments.
	ExitUsage = 2
)

// Streams are what a command reads from and writes to.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Verb makes one command of the CLI.
type Verb func(*App) *cobra.Command

// Main runs the command line of this process and returns its exit code. An interrupt cancels what runs; a second one ends the
// process at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:])
}

// Run runs one command line, prints its error if it has one, and returns its exit code.
func Run(ctx context.Context, streams Streams, args []string, extra ...Verb) int {
	root := New(streams, extra...)
	root.SetArgs(splitKind(root, args))
	cmd, err := root.ExecuteContextC(ctx)
	return exit(streams, cmd, err)
}

// New returns the root command with every verb below it. Errors are returned, not printed.
func New(streams Streams, extra ...Verb) *cobra.Command {
	app := newApp(streams)
	root := &cobra.Command{
		Use:   "slipway",
		Short: "Take a service from where it runs today to safe, continuous releases on Kubernetes",
		Long: `Slipway keeps in the cluster what is in Git.

It understands Flux's GitRepository and Kustomization, so Flux's tutorials, manifests and the flux CLI
work with it. One binary is the agent in the cluster, the CLI on your machine and a local Kubernetes to
try both on.`,
		Example: `  # A local Kubernetes with Slipway in it
  slipway up

  # What is delivered, and is it ready?
  slipway get all -A

  # Fetch and apply now instead of at the next interval
  slipway reconcile kustomization shop --with-source`,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	app.addClusterFlags(root)
	app.completeClusterFlags(root)
	for _, verb := range append(verbs(), extra...) {
		root.AddCommand(verb(app))
	}
	root.InitDefaultCompletionCmd()
	markStarted(root)
	return root
}

// noSuchCommand refuses arguments of a command that only groups others, and names what the user may have meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // letters; cobra sets it only where it suggests by itself
	msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		nearest := slices.MinFunc(near, func(a, b string) int { return cmp.Compare(distance(args[0], a), distance(args[0], b)) })
		msg += fmt.Sprintf("; did you mean %q?", nearest)
	}
	return errors.New(msg)
}

// distance counts the letters to change, add or leave out to make b of a (Levenshtein's). cobra knows it and keeps it to itself.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// splitKind makes KIND NAME of KIND/NAME where KIND is a command of its own, as below tree and diff: both mean the same everywhere.
func splitKind(root *cobra.Command, args []string) []string {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root || !cmd.HasSubCommands() {
		return args
	}
	for i, arg := range args {
		value := i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "=")
		word, name, ok := strings.Cut(arg, "/")
		if !ok || value || name == "" || !slices.Contains(rest, arg) {
			continue
		}
		k, err := kindNamed(word)
		if err != nil || !slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == k.words[0] }) {
			continue
		}
		return slices.Concat(args[:i], []string{k.words[0], name}, args[i+1:])
	}
	return args
}

// group returns a command that only holds others. Alone it is a usage error that lists them.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = noSuchCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return usagef("%q needs one of: %s", cmd.CommandPath(), childNames(cmd))
	}
	cmd.AddCommand(children...)
	return cmd
}

func childNames(cmd *cobra.Command) string {
	names := ""
	for _, child := range cmd.Commands() {
		if !child.IsAvailableCommand() {
			continue
		}
		if names != "" {
			names += ", "
		}
		names += child.Name()
	}
	return names
}
