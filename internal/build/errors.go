package build

import (
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
)

// Reasons of an Error, made for the reason of a condition.
const (
	// ReasonBuildFailed: the manifests or kustomizations in the tree are wrong.
	ReasonBuildFailed = "BuildFailed"
	// ReasonInvalidPath: the path to build is not a folder of the tree.
	ReasonInvalidPath = "InvalidPath"
	// ReasonSubstitutionFailed: a variable is not defined, or its value breaks the object.
	ReasonSubstitutionFailed = "SubstitutionFailed"
	// ReasonTooLarge: one of the Limits was passed.
	ReasonTooLarge = "TooLarge"
	// ReasonDecryptionFailed: a file is encrypted, and cannot be decrypted or has been
	// changed since.
	ReasonDecryptionFailed = "DecryptionFailed"
	// ReasonUnsupported: the spec or a kustomization asks for what is refused on
	// purpose: remote bases, Helm charts, plugins that run programs, key services.
	ReasonUnsupported = "Unsupported"
)

// Error says why a build failed. Its text is fit for a condition: it names the file
// or object, says what to do, and holds no values of Secrets or variables.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// File is the path in the tree of the file at fault, if it is known.
	File string
	// Line in File, from 1; 0 when it is not known.
	Line int
	// Object at fault as "Kind/namespace/name", if it is known.
	Object string
	// Message says what is wrong and what to do.
	Message string
	// Err is the cause, if there is one. Its text may be long and is not part of
	// Error's: it may quote the manifests.
	Err error
	// Reads is what the build had looked at: a tree with the same content there
	// fails in the same way. Empty when the failure does not depend on the tree.
	Reads Reads
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Object != "" {
		b.WriteString(e.Object)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Unsupported says whether spec asks for what a build does not do: nil, or an
// *Error with ReasonUnsupported. Build checks this too; a reconciler may call it
// before it fetches anything.
func Unsupported(spec kustomizev1.KustomizationSpec) error {
	d := spec.Decryption
	switch {
	case d == nil:
		return nil
	case d.Provider != "sops":
		return &Error{Reason: ReasonUnsupported, Message: fmt.Sprintf("spec.decryption: the provider %q isn't served; use sops", d.Provider)}
	case d.ServiceAccountName != "":
		return &Error{Reason: ReasonUnsupported, Message: "spec.decryption.serviceAccountName is for the key services of clouds and for Vault, which " +
			"aren't served; remove it, add an age or PGP key to the files with `sops updatekeys`, and name the Secret with the private key in secretRef"}
	}
	return nil
}
