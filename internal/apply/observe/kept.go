package observe

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

// sizeOfState is what the state of an object takes in memory, beside its texts.
const sizeOfState = 300

// kept counts the memory of a watcher's states. Without an allowance it counts nothing. It needs the watcher's mu held.
type kept struct {
	allowance *kube.Allowance
	bytes     int64
}

func sizeOf(name types.NamespacedName, s State) int64 {
	return int64(sizeOfState + len(name.Namespace) + len(name.Name) + len(s.UID) + len(s.ResourceVersion) + len(s.Owner) + len(s.Health.Reason) + len(s.Health.Message))
}

// add counts bytes more, or fewer, if that is allowed.
func (k *kept) add(bytes int64) error {
	if k.allowance == nil || bytes == 0 {
		return nil
	}
	if err := k.allowance.Keep(bytes); err != nil {
		return err
	}
	k.bytes += bytes
	return nil
}

// clear counts nothing any more.
func (k *kept) clear() {
	if k.allowance != nil {
		k.allowance.Release(k.bytes)
		k.bytes = 0
	}
}
