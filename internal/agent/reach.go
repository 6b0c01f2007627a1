package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is how long an agent that starts waits for an API server that gives no answer. It is longer than control planes are usually away
// for, and the startup probe of deploy/ leaves as much time: whoever restarts the agent makes pauses, which grow.
const patience = 5 * time.Minute

// reached asks until the API server answers, patience is at its end, or ctx is. A refusal is an answer.
func reached(ctx context.Context, log logr.Logger, ask func() error) error {
	enough := time.After(patience)
	pauses := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3, Cap: 3 * time.Second}
	for told := false; ; told = true {
		err := ask()
		if err == nil || !unanswered(err) {
			return err
		}
		if !told {
			log.Info("The API server gives no answer: waiting until it does", "for", patience.String(), "because", err.Error())
		}
		select {
		case <-time.After(pauses.Step()):
		case <-enough:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unanswered tells whether an error says nothing but that the API server isn't there, or not yet.
func unanswered(err error) bool {
	var wire *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &wire), errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err)
}
