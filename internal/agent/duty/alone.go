package duty

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// alone holds the Lease for agents that don't elect one of them. Nobody takes it from them but an agent that does.
const alone = agentPrefix + "without-election"

// ErrServed says that somebody else serves a part, whom an agent that doesn't elect can't take it from.
var ErrServed = errors.New("another process serves it already")

// look is the pause between two looks at the Lease of one who may be dead.
const look = time.Second

// Alone keeps servers from a part before an agent serves it that doesn't elect: nobody can ask such an agent for anything. Where there never was a server
// nothing is written. It is an [ErrServed] where one renews the Lease; one that doesn't for so long is taken for dead. Who may not read the
// Lease is not kept from anything.
func Alone(ctx context.Context, leases coordination.LeaseInterface, name string, within time.Duration) error {
	version, since := "", time.Now()
	for began := time.Now(); ; {
		lease, err := read(ctx, leases, name)
		switch {
		case apierrors.IsForbidden(err):
			return nil
		case err != nil:
			return err
		case lease == nil || holderOf(lease) == alone:
			return nil
		case holderOf(lease) == "" || ByAgent(holderOf(lease)) || lease.ResourceVersion == version && time.Since(since) > within:
			err := bar(ctx, leases, lease)
			if !apierrors.IsConflict(err) {
				return err
			}
		case time.Since(began) > 2*within:
			return fmt.Errorf("%w: %s renews lease %s. Start the agent with --leader-elect, so that it stands back, or remove what serves it", ErrServed, holderOf(lease), name)
		}
		if lease.ResourceVersion != version {
			version, since = lease.ResourceVersion, time.Now()
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func bar(ctx context.Context, leases coordination.LeaseInterface, last *coordinationv1.Lease) error {
	lease := last.DeepCopy()
	lease.Spec.HolderIdentity = new(alone)
	ask(lease, "")
	_, err := leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
