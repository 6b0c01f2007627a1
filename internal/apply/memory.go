package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// maxRecords bounds the memory at about 60 MB. What falls out costs a dry-run when it is next applied.
const maxRecords = 1 << 18

// record is what is remembered of an object that was applied.
type record struct {
	uid             types.UID
	resourceVersion string
	owned           [16]byte
	// desired is the hash of what was applied.
	desired [32]byte
	// skipped objects were left alone on purpose.
	skipped bool
	// once marks objects that are only ever created.
	once bool
}

// behind tells whether a state was seen before our own last write.
func (r record) behind(s observe.State) bool {
	return kube.Older(s.ResourceVersion, r.resourceVersion)
}

// keepsTo tells whether a state that isn't behind is as we left it.
func (r record) keepsTo(s observe.State) bool {
	return s.Paused || r.once || s.UID == r.uid && s.Owned == r.owned
}

// memory is what is remembered of all objects.
type memory struct {
	mu      sync.RWMutex
	records map[kube.Ref]record
}

func newMemory() *memory { return &memory{records: map[kube.Ref]record{}} }

func (m *memory) get(ref kube.Ref) (record, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records[ref.Unversioned()]
	return r, ok
}

func (m *memory) put(ref kube.Ref, r record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ref = ref.Unversioned()
	if _, known := m.records[ref]; !known && len(m.records) >= maxRecords {
		for victim := range m.records {
			delete(m.records, victim)
			break
		}
	}
	m.records[ref] = r
}

func (m *memory) drop(ref kube.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, ref.Unversioned())
}
