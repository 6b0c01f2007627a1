package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// Plan is what an attempt would do. Its JSON is what `slipway module plan -o json` prints and what a ModuleRevision keeps; the values of
// Secrets are in neither.
type Plan struct {
	// Module that it is for, and the generation of its spec.
	Module     string `json:"module"`
	Generation int64  `json:"generation"`
	// At is when it was made.
	At time.Time `json:"at"`
	// Inputs is the digest of all that decided what is rendered: version and digest of the package, values, images, namespace, grant. While it
	// stays, another plan could differ only because the cluster does. Empty: not known.
	Inputs v1alpha1.Digest `json:"inputs,omitempty"`

	// Version of the package. Empty: none could be chosen; Problems says why.
	Version string `json:"version,omitempty"`
	// Digest of all that would be applied: revision.Digest of Steps. Empty as long as nothing is rendered.
	Digest  v1alpha1.Digest          `json:"digest,omitempty"`
	Package v1alpha1.ResolvedPackage `json:"package,omitzero"`
	// Published is when the package says that it was published; the zero time if it doesn't.
	Published time.Time `json:"published,omitzero"`
	// Requires are the modules that must be there first: what the package requires, and spec.dependsOn.
	Requires []v1alpha1.ModuleDependency `json:"requires,omitempty"`
	// PackageRequires is what the package alone requires, in its own words: by the names of packages or modules.
	PackageRequires []v1alpha1.ModuleDependency `json:"packageRequires,omitempty"`
	Namespace       string                      `json:"namespace,omitempty"`

	// Reversible says that the attempt can be taken back until it is committed, Irreversible why it can't. Declared says that the package
	// declares so itself.
	Reversible   bool     `json:"reversible"`
	Irreversible []string `json:"irreversible,omitempty"`
	Declared     bool     `json:"declared,omitempty"`

	Counts  v1alpha1.ObjectCounts `json:"counts"`
	Changes []Change              `json:"changes,omitempty"`

	// Permissions that the package asks for; AddedPermissions those that the current revision hasn't, in words.
	Permissions      v1alpha1.Permissions `json:"permissions,omitzero"`
	AddedPermissions []string             `json:"addedPermissions,omitempty"`
	// Gate that the attempt has to pass: the Module's, the package's and the defaults in one.
	Gate v1alpha1.Gate `json:"gate,omitzero"`

	// Problems forbid to begin.
	Problems []v1alpha1.PlanProblem `json:"problems,omitempty"`
	// Definitions is what the changed definitions of kinds do, by the name of the definition.
	Definitions map[string][]crd.Finding `json:"definitions,omitempty"`
	// Baseline are the objects that aren't healthy before anything is done. Their health doesn't decide about the attempt.
	Baseline []Health `json:"baseline,omitempty"`

	// Unseen is what nobody could find out, and what forbids nothing: images of registries that don't tell.
	Unseen []string `json:"unseen,omitempty"`

	// Same says that nothing would change: what is wanted is what is installed. Problems are then what the grant doesn't allow any more. Over an attempt that isn't settled it means little: the plan
	// is carried out all the same, so it needs its objects.
	Same bool `json:"same,omitempty"`

	// Steps are the objects, with namespaces, interpreters and everything else that the attempt applies.
	Steps []revision.Step `json:"-"`
	// Before is how the objects are, as the API server has them with their managedFields, that are in the cluster and that no revision of the
	// module has: definitions of kinds, adopted objects, namespaces. A rollback puts them back, and none of them is deleted by it.
	Before []*unstructured.Unstructured `json:"-"`
	// Interpreters that the package brings. They are among the Steps as objects, too.
	Interpreters []interpret.Definition `json:"-"`
}

// Action is what would be done with an object.
type Action string

const (
	// Create makes an object that isn't there.
	Create Action = "create"
	// Update changes one that is.
	Update Action = "update"
	// Adopt takes over one that belongs to somebody else.
	Adopt Action = "adopt"
	// Delete removes one at the commit.
	Delete Action = "delete"
	// Unchanged leaves one as it is.
	Unchanged Action = "unchanged"
)

// Change is what would be done with one object.
type Change struct {
	// Object as KIND/NAMESPACE/NAME, or KIND/NAME.
	Object     string                `json:"object"`
	APIVersion string                `json:"apiVersion,omitempty"`
	Action     Action                `json:"action"`
	Step       v1alpha1.RevisionStep `json:"step,omitempty"`
	// Fields that differ, as paths. Values aren't shown of Secrets.
	Fields []Field `json:"fields,omitempty"`
	// Note says why, where that isn't plain: whose an adopted object is, that an object could not be tried yet.
	Note string `json:"note,omitempty"`
}

// Field is one field that differs.
type Field struct {
	// Path such as .spec.template.spec.containers[name="app"].image.
	Path string `json:"path"`
	// From and To are the values in JSON, abridged; empty where the field isn't there, and for Secrets.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Health is how an object is doing.
type Health struct {
	// Object as KIND/NAMESPACE/NAME, or KIND/NAME.
	Object  string `json:"object"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Reference names what the plan leads to. It has no revision yet.
func (p *Plan) Reference() *v1alpha1.RevisionReference {
	return &v1alpha1.RevisionReference{Version: p.Version, Digest: p.Digest, Package: p.Package.Name, Requires: p.PackageRequires}
}

// Good says whether the plan has no problems.
func (p *Plan) Good() bool { return len(p.Problems) == 0 }

// Unavailable is returned where there is no plan because somebody didn't answer: a source, a registry, the API server. It is worth another
// try.
type Unavailable struct{ Err error }

// Error says who didn't answer.
func (u *Unavailable) Error() string { return u.Err.Error() }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Err }
