// Command prebuild builds every executable of the lab that the user's cache
// doesn't have yet and says how far it is. `make test` runs it before tests
// that would otherwise build them in silence.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/term"

	"github.com/slipway-dev/slipway/internal/lab"
	"github.com/slipway-dev/slipway/internal/lab/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := prebuild(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "prebuild:", err)
		os.Exit(1)
	}
}

func prebuild(ctx context.Context) error {
	progress := lab.NewProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	cache, err := program.NewCache(program.WithProgress(progress.Build))
	if err != nil {
		return err
	}
	for _, p := range []program.Program{program.Kubernetes(), program.Addons(), program.Pause()} {
		if _, err := cache.Get(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
