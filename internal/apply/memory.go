package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// maxRecords bounds the memory at about 60 MB. What comes later is not remembered, whoever it belongs to: it costs a dry-run whenever it is
// applied, is never InSync, and nobody notices its drift before that. What is remembered stays.
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
	// left objects were changed by others, and stay so on request.
	left bool
	// mode is what the applied object says of its drift.
	mode observe.Mode
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

// memory is what is remembered of all objects, by who applied them: an object that two owners apply is remembered for each.
type memory struct {
	mu      sync.RWMutex
	records map[claim]record
	// graves are the UIDs of objects that were deleted after they had been created in vain: a watch may still show them for a moment.
	graves map[claim]types.UID
}

// claim is one owner's claim to an object.
type claim struct {
	owner Owner
	ref   kube.Ref // unversioned
}

func newMemory() *memory { return &memory{records: map[claim]record{}, graves: map[claim]types.UID{}} }

func (m *memory) get(owner Owner, ref kube.Ref) (record, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records[claim{owner, ref.Unversioned()}]
	return r, ok
}

// put remembers an object, unless it is new and the memory is full.
func (m *memory) put(owner Owner, ref kube.Ref, r record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := claim{owner, ref.Unversioned()}
	if _, known := m.records[key]; !known && len(m.records) >= maxRecords {
		return
	}
	m.records[key] = r
	delete(m.graves, key)
}

func (m *memory) drop(owner Owner, ref kube.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, claim{owner, ref.Unversioned()})
	delete(m.graves, claim{owner, ref.Unversioned()})
}

// bury forgets an object that was deleted as soon as it had been created, but for its UID.
func (m *memory) bury(owner Owner, ref kube.Ref, uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := claim{owner, ref.Unversioned()}
	delete(m.records, key)
	if len(m.graves) < maxRecords {
		m.graves[key] = uid
	}
}

// buried is the UID of what was deleted under that name last, "" if nothing was.
func (m *memory) buried(owner Owner, ref kube.Ref) types.UID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graves[claim{owner, ref.Unversioned()}]
}
