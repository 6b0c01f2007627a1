package observe

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

// DefaultGroup is the API group of the labels by which Flux's objects name their owner: GROUP/name and GROUP/namespace.
const DefaultGroup = "kustomize.toolkit.fluxcd.io"

// Labels and annotations of Flux's that say whom an object belongs to, and what may be done to it.
const (
	LabelName      = DefaultGroup + "/name"
	LabelNamespace = DefaultGroup + "/namespace"

	AnnotationPrune     = "kustomize.toolkit.fluxcd.io/prune"
	AnnotationReconcile = "kustomize.toolkit.fluxcd.io/reconcile"
	AnnotationSSA       = "kustomize.toolkit.fluxcd.io/ssa"

	// Disabled is the value of AnnotationPrune and AnnotationReconcile that means something.
	Disabled = "disabled"
	// SSAMerge, a value of AnnotationSSA, leaves alone what kubectl added to the object.
	SSAMerge = "Merge"
	// SSAIfNotPresent, a value of AnnotationSSA, has the object created and never changed.
	SSAIfNotPresent = "IfNotPresent"
	// SSAIgnore, a value of AnnotationSSA, has the object left alone.
	SSAIgnore = "Ignore"
)

// State is all that is kept of an object.
type State struct {
	UID             types.UID
	ResourceVersion string
	Generation      int64
	// Owned is a hash over the fields that our field manager applied and when, over the values of the owner labels, and over what
	// people changed with kubectl. While it stays, the object is as it was applied, whatever others did to their fields.
	Owned [16]byte
	// Owner is "namespace/name" of the owner that the owner labels name, "" when our field manager does not own them. What has no namespace
	// is "/name".
	Owner string
	// Overridden says that kubectl owns fields of the object, which Flux takes away again.
	Overridden bool
	// Keep says that the object must not be pruned.
	Keep bool
	// Paused says that somebody asked on the object itself that it be left alone.
	Paused bool
	// Drift is what the object asks to become of changes by others.
	Drift Mode
	// Deleting says that the object has a deletion timestamp.
	Deleting bool
	// Health is the zero Verdict where no health is kept.
	Health Verdict
}

// Verdict is what Options.Assess says of the health of an object. The pool keeps it and tells when it is another one.
type Verdict struct {
	// State in a word. Of those that there are only Healthy is known here.
	State string
	// Reason and Message are for others to read.
	Reason, Message string
}

// Healthy is the Verdict.State of an object that is as its spec says.
const Healthy = "Healthy"

// Unhealthy tells whether the object is known not to be healthy. Where no health is kept it is not known.
func (s State) Unhealthy() bool { return s.Health.State != "" && s.Health.State != Healthy }

// Healthy tells whether the object is known to be healthy.
func (s State) Healthy() bool { return s.Health.State == Healthy }

// differs tells whether somebody may have to act on the difference. Resource version and generation alone don't count.
func (s State) differs(o State) bool {
	s.ResourceVersion, o.ResourceVersion = "", ""
	s.Generation, o.Generation = 0, 0
	return s != o
}

// Event is a change of an object that matters: it came or went (or lost its owner label, which is the same to us), somebody changed
// what we own, its health is another one, or it is being deleted.
type Event struct {
	Ref kube.Ref
	// Old is nil when the object is new, New when it is gone.
	Old, New *State
}

// Inspect returns the state of an object without its health, as seen by the field manager of that name, with Flux's owner labels.
func Inspect(obj metav1.Object, manager string) State { return InspectAs(obj, DefaultGroup, manager) }

// InspectAs is Inspect with owner labels of another group.
func InspectAs(obj metav1.Object, group, manager string) State {
	labelName, labelNamespace := group+"/name", group+"/namespace"
	notes := obj.GetAnnotations()
	s := State{
		UID:             obj.GetUID(),
		ResourceVersion: obj.GetResourceVersion(),
		Generation:      obj.GetGeneration(),
		Keep:            strings.EqualFold(notes[AnnotationPrune], Disabled),
		Paused:          strings.EqualFold(notes[AnnotationReconcile], Disabled) || strings.EqualFold(notes[AnnotationSSA], SSAIgnore),
		Deleting:        obj.GetDeletionTimestamp() != nil,
	}
	s.Drift, _ = ParseMode(notes[AnnotationDrift]) // one that nobody can read is refused before it is applied
	merge := strings.EqualFold(notes[AnnotationSSA], SSAMerge)
	labels := obj.GetLabels()
	h := sha256.New()
	put(h, labels[labelName], labels[labelNamespace])
	for _, e := range obj.GetManagedFields() {
		switch {
		case Ours(e, manager):
			hashEntry(h, e)
			if e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:`+labelName+`"`) && labels[labelName] != "" {
				s.Owner = labels[labelNamespace] + "/" + labels[labelName]
			}
		case !merge && Overrides(e):
			hashEntry(h, e)
			s.Overridden = true
		}
	}
	copy(s.Owned[:], h.Sum(nil))
	return s
}

// Ours tells whether an entry of managedFields is what the field manager of that name applied.
func Ours(e metav1.ManagedFieldsEntry, manager string) bool {
	return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
}

// Overrides tells whether an entry of managedFields stems from kubectl, whose changes Flux takes back.
func Overrides(e metav1.ManagedFieldsEntry) bool {
	return e.Subresource == "" && (strings.HasPrefix(e.Manager, "kubectl") || strings.HasPrefix(e.Manager, "before-first-apply"))
}

func hashEntry(h hash.Hash, e metav1.ManagedFieldsEntry) {
	var fields, at string
	if e.FieldsV1 != nil {
		fields = e.FieldsV1.GetRawString()
	}
	if e.Time != nil {
		at = e.Time.UTC().Format(time.RFC3339)
	}
	put(h, e.Manager, string(e.Operation), e.APIVersion, at, fields)
}

// put feeds strings to a hash so that no two lists of strings look alike.
func put(h hash.Hash, parts ...string) {
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
}
