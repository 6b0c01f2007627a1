package labtest

import (
	"context"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// buildTimeout is for the first build of Kubernetes on a slow machine; six minutes are usual on two cores.
const buildTimeout = time.Hour

func startControlPlane() (*tethered.Plane, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	programs, err := tethered.FindPrograms(ctx)
	if err != nil {
		return nil, err
	}
	return tethered.Start(ctx, programs, tethered.Options{})
}
