package duty

import (
	"context"
	"encoding/json"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// AskedAnnotation is on the Lease, and names the server that asked for it last. It stays while servers hold the Lease; the agent takes it
// away when it takes the Lease.
const AskedAnnotation = "slipway.dev/asked-by"

// TermsAnnotation is on the Lease, and has the terms on which the agent serves: those of its settings that say who may do what. Who would serve on
// others doesn't. The agent that leads writes it.
const TermsAnnotation = "slipway.dev/terms"

// agentPrefix is what the identities of agents begin with.
const agentPrefix = "slipway-agent/"

// LeaseName is the name of the Lease of a part.
func LeaseName(part string) string { return "slipway-" + part }

// ByAgent tells whether a holder of the Lease is an agent.
func ByAgent(holder string) bool { return strings.HasPrefix(holder, agentPrefix) }

func holderOf(lease *coordinationv1.Lease) string {
	if lease == nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// served tells whether a server holds the Lease.
func served(lease *coordinationv1.Lease) bool {
	return holderOf(lease) != "" && !ByAgent(holderOf(lease))
}

func asked(lease *coordinationv1.Lease) string {
	if lease == nil {
		return ""
	}
	return lease.Annotations[AskedAnnotation]
}

// ask writes who asked on a Lease, in memory; empty: nobody.
func ask(lease *coordinationv1.Lease, who string) {
	if who == "" {
		delete(lease.Annotations, AskedAnnotation)
		return
	}
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[AskedAnnotation] = who
}

func termsOf(lease *coordinationv1.Lease) string {
	if lease == nil {
		return ""
	}
	return lease.Annotations[TermsAnnotation]
}

// agree writes the terms on a Lease, in memory; empty: it has none.
func agree(lease *coordinationv1.Lease, terms string) {
	if terms != "" {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, TermsAnnotation, terms)
	}
}

// put writes a Lease with a record in it: where there is none yet, a new one. Without terms those that it has stay.
func put(
	ctx context.Context, leases coordination.LeaseInterface, name string, last *coordinationv1.Lease, record resourcelock.LeaderElectionRecord, asker, terms string,
) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if last != nil {
		lease = last.DeepCopy()
	}
	lease.Spec = resourcelock.LeaderElectionRecordToLeaseSpec(&record)
	ask(lease, asker)
	agree(lease, terms)
	if last == nil {
		return leases.Create(ctx, lease, metav1.CreateOptions{})
	}
	return leases.Update(ctx, lease, metav1.UpdateOptions{})
}

// read reads a Lease; nil: there is none.
func read(ctx context.Context, leases coordination.LeaseInterface, name string) (*coordinationv1.Lease, error) {
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err // as it is: electors look into it
	}
	return lease, nil
}

// recordOf is what electors know of a Lease. The raw form, by whose changes they see that the holder lives, has more in it where that is told by something
// else.
func recordOf(lease *coordinationv1.Lease, more string) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record := &resourcelock.LeaderElectionRecord{}
	if lease != nil {
		record = resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return nil, nil, err
	}
	return record, append(raw, more...), nil
}
