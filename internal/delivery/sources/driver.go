package sources

import (
	"context"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

// Object is what all kinds of sources are in Go.
type Object interface {
	client.Object
	sourcev1.Source
}

// driver is what one kind of source adds to the reconciler. Its methods may be called at the same time for different objects; they must
// not keep the objects they are given.
type driver[T Object] interface {
	// traits are the constants of the kind.
	traits() traits
	// object and list return empty ones.
	object() T
	list() client.ObjectList
	// fields gives access to what all kinds have in their specs and statuses.
	fields(obj T) fields
	// check refuses a spec that can't be served whatever the server says: a field that isn't known here, a combination that makes no
	// sense. It makes no request. Errors are *source.Error.
	check(obj T) error
	// fetch asks the server what the spec names and returns it as it is in the store. It may take until ctx ends, which is after
	// spec.timeout. It reads Secrets anew each time, so that a rotated credential works at once. When the server's answer is what
	// the store has already, fetch asks for nothing more. Errors are *source.Error; any other counts as traits.failed. What it returns
	// beside an error is used as far as it goes.
	fetch(ctx context.Context, obj T, want want) (fetched[T], error)
}

// follower is a driver whose objects are made of others of the kind: they are fetched again when those have another artifact.
type follower interface {
	// dependents are those that are made of obj.
	dependents(ctx context.Context, obj client.Object) []client.ObjectKey
}

// traits are the constants of one kind.
type traits struct {
	// kind is the name, such as GitRepository.
	kind string
	// failed is the reason of a fetch that failed for no reason of its own.
	failed string
	// conditions are the types of conditions that only this kind has, such as SourceVerified. Those that a fetch does not return go
	// when it succeeds.
	conditions []string
	// foreign: the status is another controller's. What its artifact names is fetched, nothing is written, and the spec has nothing of
	// what fields names. Such a fetch returns a snapshot that the store knows by the artifact's digest.
	foreign bool
}

// want says what to fetch beside what the spec says.
type want struct {
	// previous is the digest of the snapshot that the object had last, or empty. What is fetched is likely to be similar to it.
	previous string
	// revision, unless it is empty, is the one to fetch, as status.artifact has it: the source is suspended, and the store has lost it.
	revision string
	// since is how old a server's word on what it has may be, where several sources share it: it was asked then or later. Zero: now.
	since time.Time
}

// fetched is what a fetch found.
type fetched[T Object] struct {
	snapshot *source.Snapshot
	// conditions of the kind's own; only type, status, reason and message are used.
	conditions []metav1.Condition
	// reached says, beside an error, that the server was asked and answered: FetchFailed is not what the error means.
	reached bool
	// gone are types of conditions of the kind's own that, beside an error, hold no more.
	gone []string
	// metadata goes with the artifact.
	metadata map[string]string
	// observe, unless it is nil, writes what is the kind's own in the status, such as observedIgnore, after a success.
	observe func(obj T)
}

// fields are what all kinds of sources have. Pointers lead into the object.
type fields struct {
	interval time.Duration
	timeout  *metav1.Duration
	suspend  bool

	artifact           **meta.Artifact
	conditions         *[]metav1.Condition
	observedGeneration *int64
	lastHandled        *string // status.lastHandledReconcileAt
}
