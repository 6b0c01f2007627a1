package plan

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
)

// Packages finds and fetches the packages of Modules. Errors are *Unavailable where somebody didn't answer; any other error lasts until
// somebody changes something, and its text says what.
type Packages interface {
	// Choose says which version is wanted, of those that the source has, by the range, the catalogue and the policy. A problem, as a
	// sentence, is an error.
	Choose(ctx context.Context, m *v1alpha1.Module) (Choice, error)
	// Fetch brings that version, verified as the Module asks. Not to be trusted is ErrUntrusted.
	Fetch(ctx context.Context, m *v1alpha1.Module, version string) (*Package, error)
}

// ErrUntrusted is what errors of Packages are about signatures.
var ErrUntrusted = errors.New("the package isn't signed as it should be")

// Choice is a version.
type Choice struct {
	Version string
	// Digest of the package, where the list of versions says it.
	Digest v1alpha1.Digest
	// Inputs is the digest of whatever else decides about the objects and isn't in the spec: the values that it refers to.
	Inputs v1alpha1.Digest
	// Why this one, for people.
	Why string
}

// Package is what a plan needs of a package.
type Package struct {
	v1alpha1.ResolvedPackage

	Version   string
	Published time.Time
	// Namespace for objects that don't say theirs. Default: the module's name.
	Namespace string
	// KubeVersion and Agent are ranges of versions that it works with. Default: any.
	KubeVersion, Agent string
	// Requires are other modules, Conflicts those that it doesn't go together with, both by the names of their packages or of the modules.
	Requires, Conflicts []v1alpha1.ModuleDependency
	Permissions         v1alpha1.Permissions
	Gate                v1alpha1.Gate
	Interpreters        []Interpreter
	// Images that no object names.
	Images []string
	// Reversible says whether the author declares that one can go back from this version to another one, and if not why, in a sentence.
	Reversible func(from string) (declared bool, why string)
	// Render makes the objects. An error is the package's fault, or that of the values.
	Render func(ctx context.Context, r Rendering) ([]*unstructured.Unstructured, error)
}

// Interpreter is one that a package brings.
type Interpreter struct {
	Name       string
	Definition interpret.Definition
}

// Rendering is what the objects depend on beside the package.
type Rendering struct {
	// Module whose values and images count. Its valuesFrom are read by Render.
	Module *v1alpha1.Module
	// Namespace and name of the installation.
	Namespace, Name string
	// KubeVersion of the cluster (v1.36.2), and the APIs that it serves (apps/v1, apps/v1/Deployment).
	KubeVersion string
	APIVersions []string
	// Scope says whether objects of a kind have a namespace.
	Scope func(schema.GroupKind) (namespaced, known bool)
}
